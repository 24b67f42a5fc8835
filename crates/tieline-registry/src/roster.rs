//! The requests and replies about rosters: plain values.
//!
//! Owns the vocabulary of [`Rosters`](crate::Rosters). Must not know how a registry stores it, nor what a node
//! makes of it.

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::types::Cursor;

/// Items of one put, at most.
pub const MAX_PUT: usize = 512;

/// Transitions of one read, at most.
pub const MAX_READ: usize = 512;

/// The longest information about a member: 2,048 bytes.
pub const MAX_INFO: usize = 2048;

/// The name of a roster: what it lists, and the key of a group.
///
/// Cheap to clone. Two are equal only if both the kind and the key are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RosterName(Arc<str>);

/// What a roster lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RosterKind {
    /// Users, with information about each.
    Members,
    /// Nodes that have anybody in the group: whether the group is occupied, and no more.
    Occupancy,
    /// Nodes at which a user is signed in: whether the user is online, and no more. The group is the user.
    Online,
}

impl RosterKind {
    const ALL: [Self; 3] = [Self::Members, Self::Occupancy, Self::Online];

    /// What the names of its rosters begin with.
    fn mark(self) -> char {
        match self {
            Self::Members => 'p',
            Self::Occupancy => 'o',
            Self::Online => 'u',
        }
    }
}

impl RosterName {
    /// The roster of this kind of the group that has this key; see [`ClientId::key`](crate::ClientId::key).
    pub fn new(kind: RosterKind, group_key: &str) -> Self {
        Self(format!("{}{group_key}", kind.mark()).into())
    }

    /// The roster that has this text; `None` if none has it.
    pub fn from_text(text: impl Into<Arc<str>>) -> Option<Self> {
        let text = text.into();
        let is_of = |kind: &RosterKind| text.starts_with(kind.mark());
        let is_known = RosterKind::ALL.iter().any(is_of);
        is_known.then_some(Self(text))
    }

    /// What it lists.
    pub fn kind(&self) -> RosterKind {
        let is_of = |kind: &RosterKind| self.0.starts_with(kind.mark());
        let kind = RosterKind::ALL.into_iter().find(is_of);
        kind.unwrap_or(RosterKind::Members)
    }

    /// The key of its group.
    pub fn group_key(&self) -> &str {
        &self.0[1..]
    }

    /// The text that is this roster's alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RosterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A name under which a node enters its users, with a lease. It is never used again once it is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// Its name.
    pub name: Uuid,
    /// The lease of the node. It renews its terms every third of it.
    pub lease: Duration,
    /// How much longer than the lease a term lives without being renewed.
    pub grace: Duration,
}

impl Term {
    /// A term with a new name.
    pub fn new(lease: Duration, grace: Duration) -> Self {
        Self {
            name: Uuid::now_v7(),
            lease,
            grace,
        }
    }

    /// How long it lives without being renewed.
    pub fn time_to_live(&self) -> Duration {
        self.lease.saturating_add(self.grace)
    }
}

/// A place in the journal: that of a transition, or of the mark with which a journal begins.
///
/// Two are equal if they name the same place. A position that came with a transition may also know its content, so
/// that a read can tell that another one stands in its place.
///
/// In some registries, as on etcd, a place may be one at which nothing happened. Their positions have a *rank*, so
/// that a reader can tell that it is beyond such a place.
#[derive(Clone)]
pub struct Position {
    place: Arc<str>,
    digest: Option<u64>,
    rank: Option<(u64, u64)>,
}

impl Position {
    /// The position that a registry calls `place`.
    pub fn new(place: impl Into<Arc<str>>) -> Self {
        Self {
            place: place.into(),
            digest: None,
            rank: None,
        }
    }

    /// The same place with a digest of what stands there.
    pub fn with_digest(self, digest: u64) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// The same place with its rank. Of two positions of one journal, the later one has the higher rank.
    pub fn with_rank(self, rank: (u64, u64)) -> Self {
        Self {
            rank: Some(rank),
            ..self
        }
    }

    /// Whether a reader of the journal that is here has read everything up to a place: it is the same, or has no
    /// higher rank.
    pub fn has_reached(&self, place: &Self) -> bool {
        match (self.rank, place.rank) {
            (Some(own), Some(other)) => own >= other,
            _ => self == place,
        }
    }

    /// The registry's name for it. In the order of the journal, but only the registry can compare two.
    pub fn as_str(&self) -> &str {
        &self.place
    }

    /// The digest of what stood there when it was read; `None` if that is not known.
    pub fn digest(&self) -> Option<u64> {
        self.digest
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Position {}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// The result of opening a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenReply {
    /// It has begun.
    Opened {
        /// What [`Put::acknowledged`] is before the first put.
        stands: u64,
        /// The end of the journal.
        tail: Position,
    },
    /// The name is that of a term that is over.
    Lost,
}

/// The result of a beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeatReply {
    /// The term is renewed.
    Renewed(Pulse),
    /// It is over.
    Lost,
}

/// What a node learns with each beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// The latest put that stands. If it is less than what was acknowledged, the registry has lost writes.
    pub stands: u64,
    /// The end of the journal.
    pub tail: Position,
    /// How many entries the term has, if the registry can count them at once.
    pub entries: Option<u64>,
    /// For how long nobody goes, because some had no time yet to enter what the registry may have lost.
    pub hold: Duration,
}

/// What a node enters and removes, at most [`MAX_PUT`] items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Higher than that of each put before in this term.
    pub number: u64,
    /// What the last acknowledged put, or the opening of the term, said that [stands](PutReply::Done::stands).
    pub acknowledged: u64,
    /// How many members a roster may have; `None` for any number.
    pub limit: Option<u32>,
    /// Each entry at most once.
    pub items: Vec<PutItem>,
}

/// One user of one roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutItem {
    /// What happens.
    pub op: PutOp,
    /// In which roster.
    pub roster: RosterName,
    /// To whom. In a roster of any kind but [`Members`](RosterKind::Members), the user is the empty name.
    pub user: Arc<str>,
    /// Information about the user, which members are told; empty for a removal. Empty information says nothing: what
    /// is known of the user stays.
    pub info: Arc<str>,
}

/// What a put does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PutOp {
    /// The user has come: the limit applies, and the information replaces what is there.
    Enter,
    /// The user is here, and was acknowledged before: no limit applies, and the information that is there stays, unless
    /// nobody has said any.
    Reenter,
    /// The user has gone from this node.
    Leave,
}

/// The result of a put. Unless it is done, it is unknown which items were carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutReply {
    /// It is done, as a whole.
    Done {
        /// What the next put acknowledges.
        stands: u64,
        /// One for each item.
        outcomes: Vec<ItemOutcome>,
    },
    /// The term is over.
    Lost,
    /// The registry has lost acknowledged puts.
    Loss,
    /// A later put was here.
    Stale {
        /// What the next put acknowledges.
        stands: u64,
    },
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemOutcome {
    /// The entry is as it was asked for.
    Done,
    /// The roster has as many members as it may have, and the user is none.
    Full,
    /// The user stays for now, being the last entry while the registry [holds](Pulse::hold).
    Later,
}

/// The result of tending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TendReply {
    /// The registry holds: nobody is removed.
    Held(Duration),
    /// So many terms still have entries to remove.
    Done {
        /// Zero if there is nothing left to do.
        left: u64,
    },
}

/// A user in a roster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// The user.
    pub user: Arc<str>,
    /// What the user's node said about it.
    pub info: Arc<str>,
}

/// A roster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterReply {
    /// The end of the journal at that moment.
    pub tail: Position,
    /// How many members there are.
    pub count: u64,
    /// All of them, unless there are more than were asked for.
    pub members: Option<Vec<Member>>,
}

/// A part of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPage {
    /// The end of the journal at that moment.
    pub tail: Position,
    /// Some members. One may occur on two pages; one who is a member during the whole walk is on one at least.
    pub members: Vec<Member>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Cursor>,
}

/// What follows a position in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalReply {
    /// The transitions, in order.
    Entries {
        /// At most [`MAX_READ`]; fewer at the end of the journal.
        entries: Vec<JournalEntry>,
        /// How far the journal has been read, which is where to go on: the place of the last transition, or, if there
        /// was none, the position from which it was read. Where positions have a rank, it may be beyond these.
        reached: Position,
    },
    /// The journal does not contain the position, or another entry in its place.
    Broken,
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place.
    pub position: Position,
    /// What happened.
    pub kind: TransitionKind,
    /// In which roster.
    pub roster: RosterName,
    /// To whom.
    pub user: Arc<str>,
    /// The information about the user; empty for one who has gone.
    pub info: Arc<str>,
    /// How many members the roster has from then on.
    pub count: u64,
}

/// What happened to a user in a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransitionKind {
    /// The user has come: first in.
    Joined,
    /// The user has gone: last out.
    Left,
    /// The information about the user has changed.
    Changed,
}

/// The result of asking for the dispatcher's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookReply {
    /// The term has the place. The position is where to go on.
    Held(Position),
    /// The term has the place, and there is no position to go on from: whoever is told has to ask for everything,
    /// and goes on from here.
    Reset(Position),
    /// Another term has the place.
    Busy,
    /// The term is over, or another one has taken the place.
    Lost,
}
