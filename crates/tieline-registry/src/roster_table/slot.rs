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
    /// There may be one.
    Unknown,
    Mine,
    /// It stays while the registry holds.
    Later,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is known for itself, and there are many slots"
)]
pub(super) struct Slot {
    /// Connections of the user at this node that are in the group.
    pub(super) connections: u32,
    pub(super) info: Option<Arc<str>>,
    /// How many members the roster may have without the user, for the user to enter.
    pub(super) limit: Option<u32>,
    pub(super) known: Known,
    /// The registry has not confirmed the user, or the information about it.
    pub(super) is_fresh: bool,
    /// The registry has confirmed the user: no limit applies any more.
    pub(super) is_confirmed: bool,
    /// The roster was full. It is not asked again before another connection comes.
    pub(super) is_refused: bool,
    /// When the entry goes, once there are no connections.
    pub(super) due: Duration,
    /// In one of the queues.
    pub(super) is_queued: bool,
    /// The put in flight does something with it.
    pub(super) is_in_flight: bool,
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

    /// What is to be done about it now.
    pub(super) fn wanted(&self, now: Duration) -> Option<PutOp> {
        let is_here = self.connections > 0;
        match self.known {
            _ if self.is_in_flight || self.is_refused => None,
            Known::Mine if is_here && !self.is_fresh => None,
            known if is_here && self.is_fresh && (known == Known::Mine || !self.is_confirmed) => {
                Some(PutOp::Enter)
            }
            _ if is_here => Some(PutOp::Reenter),
            Known::Absent | Known::Later => None,
            Known::Unknown | Known::Mine => (self.due <= now).then_some(PutOp::Leave),
        }
    }

    /// Whether connections wait for a decision, or are in by one.
    pub(super) fn is_asked_for(&self) -> bool {
        self.connections > 0 && !self.is_refused
    }

    /// Whether nothing is left to remember.
    pub(super) fn is_over(&self) -> bool {
        self.connections == 0 && self.known == Known::Absent && !self.is_in_flight
    }
}

/// Whether a limit lets in more than another.
pub(super) fn is_wider(one: Option<u32>, other: Option<u32>) -> bool {
    let most = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
    most(one) > most(other)
}
