//! What a registry is asked and what it answers.

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::id::ClientId;

/// Microseconds of the cluster's clock: when a connection arrived. The later one wins an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process that wants an address.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Where peers reach it: `host:port`.
    pub address: Arc<str>,
    /// The process, so that a restart is told from a twin.
    pub process: Uuid,
    /// A process that is known to be gone, whose address may be taken though its lease lives.
    pub replace: Option<Uuid>,
    /// Its session until now, if it had one.
    pub previous: Option<NodeSession>,
    /// The caller's cluster clock.
    pub now: Stamp,
    /// How long the lease lives without a beat.
    pub lease: Duration,
}

/// A process that holds its address. What `lease` and `fence` mean is the registry's business; two
/// sessions are the same only if all parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSession {
    /// Where peers reach it.
    pub address: Arc<str>,
    /// The process.
    pub process: Uuid,
    /// How long the lease lives without a beat.
    pub ttl: Duration,
    /// The registry's name for the lease, if it has one.
    pub lease: i64,
    /// What tells late operations of this process from current ones, if the registry needs it.
    pub fence: i64,
}

/// What became of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The address is the process's.
    Joined(NodeSession, LeaseInfo),
    /// Another process holds the address, and its lease lives.
    Busy(Uuid),
}

/// What became of a beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is renewed.
    Renewed(LeaseInfo),
    /// The lease had run out and is renewed: entries may have been removed.
    Revived(LeaseInfo),
    /// The address is not the process's any more.
    Lost,
}

/// What a node learns of its place with each join and beat, at no further cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseInfo {
    /// The cluster's clock; zero where the registry keeps none.
    pub clock: Stamp,
    /// Entries under this node's address, where the registry can tell at once: another number than
    /// the node's own count raises an alarm.
    pub held: Option<u64>,
    /// Entries of the shared layout less those that Tieline wrote, where the registry can tell at
    /// once: above zero, foreign nodes have clients; below, they deleted ours.
    pub foreign: Option<i64>,
}

/// A node, as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Where peers reach it.
    pub address: Arc<str>,
    /// The process that holds the address.
    pub process: Uuid,
    /// Whether its lease lives.
    pub leased: bool,
}

/// One id that is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The client.
    pub id: ClientId,
    /// When its connection arrived.
    pub stamp: Stamp,
    /// On what grounds.
    pub kind: ClaimKind,
}

/// On what grounds an id is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// A new connection: it wins over earlier ones, foreign ones included.
    Fresh,
    /// A connection whose claim was granted before: a foreign write since then wins over it.
    Held,
    /// A new connection that must not displace a live one (`Duplicate::Reject`):
    /// as fresh, but taken where another node with a living lease, or a foreign node, has the id.
    Exclusive,
}

/// What became of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcomes {
    /// One verdict for each claim, in order.
    Verdicts(Vec<Verdict>),
    /// The session is lost, or its lease has run out; nothing was written.
    Lost,
}

/// What became of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The id is the claimant's.
    Granted {
        /// The node that had it, if another had.
        displaced: Option<Arc<str>>,
    },
    /// The id is another's, whose connection is newer, or foreign.
    Taken {
        /// The node that has it.
        by: Arc<str>,
    },
}

/// One id that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The client.
    pub id: ClientId,
    /// Entries of later connections stay.
    pub up_to: Stamp,
}

/// What became of releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// None of them stands any more.
    Done,
    /// The session is lost, or its lease has run out; nothing was deleted.
    Lost,
}

/// Who has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The node's address.
    pub address: Arc<str>,
    /// Who wrote it.
    pub owner: Owner,
}

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A node of this cluster.
    Node {
        /// When the connection arrived.
        stamp: Stamp,
        /// Whether the node's lease lives.
        leased: bool,
    },
    /// A program that shares the layout and knows no stamps.
    Foreign,
}

/// A node whose lease has run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredNode {
    /// Where it was.
    pub address: Arc<str>,
    /// The registry's mark of the lease that ran out; a renewal changes it.
    pub mark: Arc<str>,
}

/// Where a walk goes on. A walk begins with the default and ends with the page whose `next` is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(pub Vec<u8>);

/// A part of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What stands there; may be empty though more follows.
    pub items: Vec<T>,
    /// Where to go on, if there is more.
    pub next: Option<Cursor>,
}
