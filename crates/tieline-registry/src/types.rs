//! The requests and replies of a registry: plain values.
//!
//! Owns the vocabulary of [`Registry`](crate::Registry). Must not know how a registry stores it. Invariant:
//! times are stamps of the cluster's clock, except for durations.

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::id::ClientId;

/// When a connection arrived, in microseconds of the cluster's clock. The later stamp wins an id.
///
/// The registries on Redis and etcd store stamps below 2^53 only, which is the year 2255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The request of a process to take a node's address.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The address at which peers reach the node: `host:port`.
    pub address: Arc<str>,
    /// The process: one run of the node, so that a restart differs from a second copy.
    pub process: Uuid,
    /// A process that is known to be gone: its address may be taken although its lease lives.
    pub replace: Option<Uuid>,
    /// The last session of this process, if it had one. A registry may continue it.
    pub previous: Option<NodeSession>,
    /// The caller's cluster clock.
    pub now: Stamp,
    /// How long the lease lives without a renewal. A registry may round it up.
    pub lease: Duration,
    /// Whether the process has connections whose entries may be missing. If it has none, it counts as
    /// refilled at once.
    pub has_connections: bool,
}

/// What a node reports with each renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeReport {
    /// The caller's cluster clock.
    pub now: Stamp,
    /// The epoch in which the node has refilled: since it began, or since the node joined in it, each
    /// of its connections has been claimed again. [`Epoch::default`] while it has not; an earlier
    /// report of the same session stays valid.
    pub refilled: Epoch,
}

/// A time in which the registry has lost no data. A registry that finds itself empty begins a new one.
///
/// In a new epoch, entries may be missing until every node has claimed its ids again. Two values are
/// the same epoch only if they are equal. The default is no epoch: that of a registry that cannot
/// lose data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Epoch(pub u64);

/// The right of a process to act under its address, for as long as its lease lives.
///
/// Callers treat it as opaque: only the registry knows what `lease_id` and `fencing_token` mean. Two
/// sessions are the same only if all fields are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSession {
    /// The address at which peers reach the node.
    pub address: Arc<str>,
    /// The process.
    pub process: Uuid,
    /// How long the lease lives without a renewal, as granted.
    pub ttl: Duration,
    /// The registry's name for the lease; 0 if it needs none.
    pub lease_id: i64,
    /// Distinguishes late operations of this process from current ones; 0 if the registry needs none.
    pub fencing_token: i64,
}

/// The result of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The process holds the address.
    Joined(NodeSession, LeaseInfo),
    /// Another process holds the address, and its lease lives.
    Busy(Uuid),
}

/// The result of a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is renewed.
    Renewed(LeaseInfo),
    /// The lease had expired and is renewed: entries may have been removed.
    Revived(LeaseInfo),
    /// The process does not hold the address any more.
    Lost,
}

/// What a node learns with each join and renewal, at no further cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseInfo {
    /// The cluster's clock; zero if the registry keeps none.
    pub clock: Stamp,
    /// The registry's current epoch. A node that learns of another one claims everything again.
    pub epoch: Epoch,
    /// How many entries this node's address has, if the registry can count them at once. If two
    /// renewals in a row differ from the node's own count, the node audits.
    pub entry_count: Option<u64>,
    /// Entries of the shared layout minus entries that Tieline wrote, if the registry can count them at
    /// once. Above zero, legacy nodes have clients; below zero, they have deleted entries of Tieline.
    pub foreign_balance: Option<i64>,
}

/// A node, as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The address at which peers reach it.
    pub address: Arc<str>,
    /// The process that holds the address.
    pub process: Uuid,
    /// Whether its lease lives.
    pub leased: bool,
}

/// The request to own a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The client.
    pub id: ClientId,
    /// When its connection arrived.
    pub stamp: Stamp,
    /// What the claim may displace.
    pub kind: ClaimKind,
}

/// What a claim may displace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// A new connection: it wins over earlier ones, those of legacy nodes included.
    Fresh,
    /// A connection whose claim was granted before: an entry that another program wrote since then wins.
    Held,
    /// A new connection that must not displace a live one (`Duplicate::Reject` in `tieline`): as
    /// `Fresh`, but taken if another node with a live lease, or a legacy node, has the id.
    Exclusive,
}

/// The result of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcomes {
    /// One verdict for each claim, in order.
    Verdicts(Vec<Verdict>),
    /// The session is lost, or its lease has expired; nothing was written.
    Lost,
}

/// The result of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The claimant has the id.
    Granted {
        /// The node that had it, if another one had it.
        displaced: Option<Arc<str>>,
    },
    /// Another connection has the id: a newer one, or one that this kind of claim does not displace.
    Taken {
        /// Its node.
        by: Arc<str>,
    },
}

/// The request to give an id back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The client.
    pub id: ClientId,
    /// The stamp of the entry: the latest one that this node has claimed, or that
    /// [`ids_of`](crate::Registry::ids_of) listed. The entry of a later connection stays, whenever the
    /// release is carried out.
    pub up_to: Stamp,
}

/// The result of releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// None of the entries exists any more.
    Done,
    /// The session is lost, or its lease has expired; nothing was deleted.
    Lost,
}

/// What the registry knows about an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// There is an entry.
    At(Entry),
    /// There is no entry, and no node has lost one.
    Nowhere,
    /// There is no entry, but in this [`Epoch`] not every live node has refilled: one of them may have
    /// the id.
    Unknown,
}

impl Located {
    /// The entry, if there is one.
    pub fn entry(self) -> Option<Entry> {
        match self {
            Self::At(entry) => Some(entry),
            Self::Nowhere | Self::Unknown => None,
        }
    }
}

/// What the registry has for an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The node's address.
    pub address: Arc<str>,
    /// Who wrote the entry.
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
    /// A program that shares the layout and writes no stamps, such as a legacy node. A *foreign entry* is
    /// an entry in the shared layout that Tieline did not write.
    Foreign,
}

/// A node whose lease has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredNode {
    /// Its address.
    pub address: Arc<str>,
    /// Identifies the lease that expired; a renewal changes it.
    pub mark: Arc<str>,
}

/// The position in a walk. A walk begins with `Cursor::default()` and ends with the page whose
/// [`next`](Page::next) is `None`. Only the registry knows what the bytes mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(pub Vec<u8>);

/// A part of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page; may be empty although more pages follow.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}
