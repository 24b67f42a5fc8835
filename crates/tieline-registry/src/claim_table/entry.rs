//! One client id in the claim table, as a pure state machine.
//!
//! Owns every transition of an entry, and which request the id needs next. Must not know queues,
//! sessions or other ids.
//!
//! An entry consists of three facts, which begin as None, No and No, the stamp with which this node
//! claims and releases the id, and whether it is to be refilled. The table shows what each event makes
//! of the facts; a dash leaves a fact unchanged:
//!
//! ```text
//! event       | desired               | registered             | in progress
//! ------------+-----------------------+------------------------+---------------------------
//! connect     | any → Fresh|Exclusive | -                      | -
//! disconnect¹ | Some → None           | -                      | YesThenRecheck → Yes
//! recheck²    | -                     | any → Unknown, if idle | Yes → YesThenRecheck
//! rejoin      | as recheck, and what is desired is to be refilled
//! sweep³      | -                     | any → Unknown          | -
//! begin       | -                     | -                      | No → Yes
//! granted     | any → Held¹           | any → Yes              | Yes → No
//!             |                       | any → Unknown          | YesThenRecheck → No
//! taken       | Some → None¹          | any → No               | any → No
//! released    | -                     | any → No               | any → No
//! no reply    | -                     | any → Unknown          | any → No
//!
//! ¹ only if the event is about the newest connection
//! ² only if there is a connection. Idle: no request is in progress
//! ³ only if there is no connection and no request is in progress
//! ```
//!
//! Invariants: a reply that may be older than a recheck never makes the entry `Registered::Yes`. A
//! release names a stamp that no later connection can have, so that one that is carried out late, or
//! twice, removes nothing of a later connection.

use crate::types::{ClaimKind, Stamp};

/// One id. `C` is how the driver identifies a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimEntry<C> {
    desired: Option<Desired<C>>,
    registered: Registered,
    in_progress: InProgress,
    /// The latest stamp that an entry of this node can have: that of the newest connection, or what a
    /// sweep found.
    stamp: Stamp,
    /// The registry may have lost the entry, and has not granted it again since.
    to_refill: bool,
}

/// The newest connection of this node with the id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Desired<C> {
    connection: C,
    /// How to claim it next: `Held` once a claim of this connection was granted.
    kind: ClaimKind,
}

/// Whether the registry has an entry of this node for the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registered {
    No,
    Unknown,
    Yes,
}

/// Whether a request for the id is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InProgress {
    No,
    Yes,
    /// Its reply may be outdated: send another request after it.
    YesThenRecheck,
}

/// What an id needs from the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Claim(Stamp, ClaimKind),
    Release(Stamp),
}

impl<C> Default for ClaimEntry<C> {
    fn default() -> Self {
        Self {
            desired: None,
            registered: Registered::No,
            in_progress: InProgress::No,
            stamp: Stamp::default(),
            to_refill: false,
        }
    }
}

/// What an entry needs.
impl<C> ClaimEntry<C> {
    /// The next request; none while the registry has what it should have. With `audit`, an entry that
    /// is believed to be registered is claimed again all the same.
    pub(super) fn next_operation(&self, audit: bool) -> Option<Operation> {
        match (&self.desired, self.registered) {
            (Some(desired), Registered::Yes) if desired.kind == ClaimKind::Held && !audit => None,
            (Some(desired), _) => Some(Operation::Claim(self.stamp, desired.kind)),
            (None, Registered::No) => None,
            (None, _) => Some(Operation::Release(self.stamp)),
        }
    }

    /// Whether the table can forget the id.
    pub(super) fn is_obsolete(&self) -> bool {
        self.desired.is_none()
            && self.registered == Registered::No
            && self.in_progress == InProgress::No
    }

    pub(super) fn is_desired(&self) -> bool {
        self.desired.is_some()
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered == Registered::Yes
    }

    /// Whether the connection here may lack its entry since the node has joined.
    pub(super) fn is_to_refill(&self) -> bool {
        self.to_refill && self.is_desired()
    }

    pub(super) fn is_in_progress(&self) -> bool {
        self.in_progress != InProgress::No
    }
}

/// What happens at the node.
impl<C> ClaimEntry<C> {
    /// A connection arrived; it replaces an older one.
    pub(super) fn connect(&mut self, connection: C, stamp: Stamp, exclusive: bool) {
        let kind = if exclusive {
            ClaimKind::Exclusive
        } else {
            ClaimKind::Fresh
        };
        self.desired = Some(Desired { connection, kind });
        self.stamp = stamp;
    }

    /// A connection ended. Whether it was the newest one; an older one changes nothing.
    pub(super) fn disconnect(&mut self, is_same: impl FnOnce(&C) -> bool) -> bool {
        let newest = self.desired.take_if(|desired| is_same(&desired.connection));
        if newest.is_some() {
            self.cancel_recheck();
            self.to_refill = false;
        }
        newest.is_some()
    }

    /// The registry may have given the id to another node. Returns whether to claim it again at once.
    /// If not, it is claimed again after the request in progress, or has no connection here.
    pub(super) fn recheck(&mut self) -> bool {
        if self.desired.is_none() {
            return false;
        }
        if self.is_in_progress() {
            self.in_progress = InProgress::YesThenRecheck;
            return false;
        }
        self.registered = Registered::Unknown;
        true
    }

    /// The node has joined: the entry may be missing. Returns whether to claim it again at once.
    pub(super) fn rejoin(&mut self) -> bool {
        self.to_refill = self.is_desired();
        self.recheck()
    }

    /// The registry lists the id under this node's address, with this stamp. Whether the entry must be
    /// released.
    pub(super) fn sweep(&mut self, stamp: Stamp) -> bool {
        let unwanted = self.desired.is_none() && !self.is_in_progress();
        if unwanted {
            self.registered = Registered::Unknown;
            self.stamp = self.stamp.max(stamp);
        }
        unwanted
    }
}

/// What happens to a request.
impl<C> ClaimEntry<C> {
    /// A request for the id is sent.
    pub(super) fn begin(&mut self) {
        self.in_progress = InProgress::Yes;
    }

    /// A claim was granted. Whether it is the first grant of the newest connection.
    pub(super) fn on_granted(&mut self, stamp: Stamp) -> bool {
        self.registered = match std::mem::replace(&mut self.in_progress, InProgress::No) {
            InProgress::YesThenRecheck => Registered::Unknown,
            InProgress::No | InProgress::Yes => Registered::Yes,
        };
        self.to_refill &= !self.is_registered();
        let is_newest = self.stamp == stamp;
        let current = self.desired.as_mut().filter(|_| is_newest);
        current.is_some_and(|desired| {
            std::mem::replace(&mut desired.kind, ClaimKind::Held) != ClaimKind::Held
        })
    }

    /// A claim was refused. The connection that has lost its id; none if a newer one has arrived, or
    /// it has ended.
    pub(super) fn on_taken(&mut self, stamp: Stamp) -> Option<C> {
        self.finish(Registered::No);
        let is_newest = self.stamp == stamp;
        let lost = self.desired.take_if(|_| is_newest);
        self.to_refill &= lost.is_none();
        lost.map(|desired| desired.connection)
    }

    /// A release was carried out.
    pub(super) fn on_released(&mut self) {
        self.finish(Registered::No);
    }

    /// A request may or may not have been carried out.
    pub(super) fn on_no_reply(&mut self) {
        self.finish(Registered::Unknown);
    }

    fn finish(&mut self, registered: Registered) {
        self.registered = registered;
        self.in_progress = InProgress::No;
    }

    fn cancel_recheck(&mut self) {
        if self.in_progress == InProgress::YesThenRecheck {
            self.in_progress = InProgress::Yes;
        }
    }
}

#[cfg(test)]
mod tests;
