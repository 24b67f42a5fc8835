//! One user in one roster, as a node knows it.

use std::{sync::Arc, time::Duration};

use crate::roster::{PutOp, RosterName};

/// A user in a roster.
pub(super) type SlotKey = (RosterName, Arc<str>);

/// What a node believes about its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Known {
    #[default]
    Absent,
    /// There is none, because the roster was full. It is not asked again before another connection comes.
    Refused,
    /// There may be one.
    Unknown,
    Mine,
    /// It stays while the registry holds.
    Later,
}

/// Where a slot is on its way to the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    #[default]
    Rests,
    /// In one of the queues.
    Queued,
    /// The put in flight does something with it.
    InFlight,
}

/// A slot. Small: a node has one for each of its members.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) info: Option<Arc<str>>,
    /// While there are connections, how many members the roster may have without the user, for the user to enter; else
    /// when the entry goes, in µs. Neither means anything while the other does.
    limit_or_due: u64,
    /// Connections of the user at this node that are in the group.
    pub(super) connections: u32,
    pub(super) known: Known,
    pub(super) stage: Stage,
    /// The registry has not confirmed the user, or the information about it.
    pub(super) is_fresh: bool,
    /// The registry has confirmed the user: no limit applies any more.
    pub(super) is_confirmed: bool,
}

/// An item of the put in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) key: SlotKey,
    pub(super) op: PutOp,
    pub(super) info: Arc<str>,
}

/// A decision about a user who enters a roster at this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The roster.
    pub roster: RosterName,
    /// The user.
    pub user: Arc<str>,
    /// What was decided.
    pub verdict: Verdict,
}

/// What became of a user who enters a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The entry stands.
    Entered,
    /// The roster is full: the user is not in it. Each connection that is told so
    /// [exits](super::RosterTable::exit); who is told nothing any more counts until its own exit.
    Full,
}

impl Settled {
    /// A decision.
    pub fn new(roster: RosterName, user: impl Into<Arc<str>>, verdict: Verdict) -> Self {
        Self {
            roster,
            user: user.into(),
            verdict,
        }
    }
}

impl Slot {
    pub(super) fn info(&self) -> Arc<str> {
        self.info.clone().unwrap_or_default()
    }

    /// Another connection comes, with this limit. It does not narrow that of others that wait, or are in.
    pub(super) fn add(&mut self, limit: Option<u32>) {
        let own = most(limit);
        let is_shared = self.connections > 0 && self.known != Known::Refused;
        if !is_shared || own > self.limit_or_due {
            self.limit_or_due = own;
        }
        self.connections += 1;
    }

    /// A connection goes. If it was the last one, the entry goes at the time `due`.
    pub(super) fn remove(&mut self, due: Duration) {
        self.connections = self.connections.saturating_sub(1);
        if self.connections == 0 {
            self.set_due(due);
        }
    }

    /// How many members the roster may have, for the user to enter. Of a user who has connections.
    pub(super) fn limit(&self) -> Option<u32> {
        u32::try_from(self.limit_or_due).ok()
    }

    /// Whether somebody has come with a limit that lets in more than this one.
    pub(super) fn is_wider_than(&self, limit: Option<u32>) -> bool {
        self.connections > 0 && self.limit_or_due > most(limit)
    }

    /// When the entry goes. Of a user who has no connections.
    pub(super) fn due(&self) -> Duration {
        Duration::from_micros(self.limit_or_due)
    }

    pub(super) fn set_due(&mut self, due: Duration) {
        self.limit_or_due = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
    }

    /// What is to be done about it now.
    pub(super) fn wanted(&self, now: Duration) -> Option<PutOp> {
        let is_here = self.connections > 0;
        match self.known {
            _ if self.stage == Stage::InFlight || self.known == Known::Refused => None,
            Known::Mine if is_here && !self.is_fresh => None,
            known if is_here && self.is_fresh && (known == Known::Mine || !self.is_confirmed) => {
                Some(PutOp::Enter)
            }
            _ if is_here => Some(PutOp::Reenter),
            Known::Absent | Known::Refused | Known::Later => None,
            Known::Unknown | Known::Mine => (self.due() <= now).then_some(PutOp::Leave),
        }
    }

    /// The term is over: there is no entry, and nothing is on its way.
    pub(super) fn forget_entry(&mut self) {
        if self.known != Known::Refused {
            self.known = Known::Absent;
        }
        self.stage = Stage::Rests;
    }

    /// Whether nothing is left to remember.
    pub(super) fn is_over(&self) -> bool {
        let has_none = matches!(self.known, Known::Absent | Known::Refused);
        self.connections == 0 && has_none && self.stage != Stage::InFlight
    }
}

/// A limit as a number; none is more than any.
fn most(limit: Option<u32>) -> u64 {
    limit.map_or(u64::MAX, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
