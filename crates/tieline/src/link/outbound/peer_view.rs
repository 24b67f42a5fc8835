//! What a link knows about its peer.
//!
//! Owns the peer's process, and the users and groups that it has announced. Must not know streams. Invariant:
//! `may_have` is false only if the peer certainly has no connection of the user or group.

use foldhash::HashSet;
use uuid::Uuid;

use crate::link::proto::{self, REPORTS};

#[derive(Debug, Default)]
pub(super) enum PeerView {
    /// Nothing yet, or nothing any more: there is no stream.
    #[default]
    Unknown,
    /// The peer supports the unary service only.
    UnaryOnly,
    /// The process that answers is reached under another address.
    Alias,
    /// The peer has sent its hello.
    Stream {
        process: Uuid,
        /// Of the stream.
        version: u32,
        interest: PeerInterest,
    },
}

/// The users and groups that a peer has, by hash.
#[derive(Debug, Default)]
pub(super) struct PeerInterest {
    hashes: HashSet<u64>,
    /// Whether the whole snapshot has arrived.
    complete: bool,
}

impl PeerView {
    pub(super) fn stream(process: Uuid, version: u32) -> Self {
        Self::Stream {
            process,
            version,
            interest: PeerInterest::default(),
        }
    }

    pub(super) fn process(&self) -> Option<Uuid> {
        match self {
            Self::Stream { process, .. } => Some(*process),
            Self::Unknown | Self::UnaryOnly | Self::Alias => None,
        }
    }

    /// The version of the stream to it; `None` without a stream.
    pub(super) fn version(&self) -> Option<u32> {
        match self {
            Self::Stream { version, .. } => Some(*version),
            Self::Unknown | Self::UnaryOnly | Self::Alias => None,
        }
    }

    /// Whether there is a link, by a stream or by unary calls.
    pub(super) fn is_linked(&self) -> bool {
        matches!(self, Self::UnaryOnly | Self::Stream { .. })
    }

    pub(super) fn is_unary_only(&self) -> bool {
        matches!(self, Self::UnaryOnly)
    }

    /// Whether the peer may report on messages; one that was not heard yet may.
    pub(super) fn may_report(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::UnaryOnly | Self::Alias => false,
            Self::Stream { version, .. } => *version >= REPORTS,
        }
    }

    pub(super) fn is_alias(&self) -> bool {
        matches!(self, Self::Alias)
    }

    /// Whether the peer may have connections of a user or group. A peer whose snapshot is incomplete may; one
    /// of the unary service has neither users nor groups.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        match self {
            Self::Unknown => true,
            Self::UnaryOnly | Self::Alias => false,
            Self::Stream { interest, .. } => !interest.complete || interest.hashes.contains(&hash),
        }
    }

    /// Applies a change of the peer's interest.
    pub(super) fn apply(&mut self, change: &proto::Interest) {
        if let Self::Stream { interest, .. } = self {
            for hash in &change.lost {
                interest.hashes.remove(hash);
            }
            interest.hashes.extend(&change.gained);
            interest.complete |= change.complete;
        }
    }
}
