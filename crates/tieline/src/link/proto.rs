//! The link protocol: generated messages, versions and sizes.
//!
//! Owns the largest request that two sides agree on. Must not know configuration or sockets: values are passed
//! in.

use std::num::NonZeroUsize;

use crate::{counts, delivery};

mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::pedantic,
        reason = "generated from the proto files"
    )]

    pub mod link {
        tonic::include_proto!("tieline.link.v1");
    }
    pub mod websocket {
        tonic::include_proto!("websocket");
    }
}

pub(crate) use generated::link::{
    Answer, AnswerKind, Ask, Close, Codes, Confirmation, Counts, Emit, EmitMany, Evict, Hello,
    Interest, Listing, Membership, Multicast, OutcomeCode, Outcomes, PeerRequest, Query, QueryKind,
    Reached, Refusal, Report, ReportKind, RequestBatch, Response, ResponseBatch, Scope,
    link_client, link_server, peer_request, response,
};
pub(crate) use generated::websocket;

pub(crate) use self::peer_request::Kind as RequestKind;

/// The newest version of the stream: version 5 added namespaces, and reports on what has left; version 4 added
/// messages to many ids. Version 3 added the cluster, the expected process and the proofs to the greeting; without
/// them a stranger cannot be told from a peer, so that no older version is supported.
pub(crate) const VERSION: u32 = 5;
/// The oldest version still supported.
pub(crate) const MIN_VERSION: u32 = 3;
/// The version that added messages to many ids.
pub(super) const EMIT_MANY: u32 = 4;
/// The version that added namespaces.
pub(super) const NAMESPACES: u32 = 5;
/// The version that added reports.
pub(super) const REPORTS: u32 = 5;

/// The largest size of a request beside its data: names and tags.
pub(super) const REQUEST_OVERHEAD: usize = 1024;
/// The largest size of a batch beside its requests: a ping, an acknowledgement, tags.
pub(super) const BATCH_OVERHEAD: usize = 1024;

/// The status message with which the inbound side ends a stream when its node shuts down. Sent on the wire,
/// and recognized by the outbound side: never change it.
pub(super) const NODE_SHUTDOWN: &str = "the node ends";

/// File descriptors of this protocol, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

impl Hello {
    /// The largest encoded request that the sender of this hello accepts, given that this node accepts
    /// messages of `ours` bytes. At least 1, so that a peer whose limit leaves no room for requests has each
    /// of them refused as too large.
    pub(super) fn max_request(&self, ours: usize) -> NonZeroUsize {
        let max = match usize::try_from(self.max_message_size) {
            Ok(0) | Err(_) => ours,
            Ok(theirs) => theirs.min(ours),
        };
        NonZeroUsize::new(max.saturating_sub(BATCH_OVERHEAD)).unwrap_or(NonZeroUsize::MIN)
    }
}

impl From<Counts> for counts::Counts {
    fn from(counts: Counts) -> Self {
        Self {
            connections: counts.connections,
            users: counts.users,
            groups: counts.groups,
        }
    }
}

impl From<counts::Counts> for Counts {
    fn from(counts: counts::Counts) -> Self {
        Self {
            connections: counts.connections,
            users: counts.users,
            groups: counts.groups,
        }
    }
}

impl From<Reached> for delivery::Reached {
    fn from(reached: Reached) -> Self {
        Self {
            delivered: reached.delivered,
            offline: reached.offline,
            refused: reached.refused,
            queue_full: reached.queue_full,
            incomplete: reached.incomplete,
            filter_refused: reached.filter_refused,
        }
    }
}

impl From<delivery::Reached> for Reached {
    fn from(reached: delivery::Reached) -> Self {
        Self {
            delivered: reached.delivered,
            offline: reached.offline,
            refused: reached.refused,
            queue_full: reached.queue_full,
            incomplete: reached.incomplete,
            filter_refused: reached.filter_refused,
        }
    }
}
