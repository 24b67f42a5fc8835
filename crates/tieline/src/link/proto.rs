//! The link protocol: generated messages, versions and sizes.
//!
//! Owns the negotiation of the version and of the largest request. Must not know configuration or sockets:
//! values are passed in.

use std::{num::NonZeroUsize, ops::RangeInclusive};

use tonic::Status;
use uuid::Uuid;

use crate::delivery;

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

#[cfg(test)]
pub(crate) use generated::link::Emit;
pub(crate) use generated::link::{
    Close, Evict, Hello, Interest, Listing, Membership, Multicast, OutcomeCode, Outcomes,
    PeerRequest, Query, QueryKind, Reached, RequestBatch, Response, ResponseBatch, Scope,
    link_client, link_server, peer_request, response,
};
pub(crate) use generated::websocket;

pub(crate) use self::peer_request::Kind as RequestKind;

/// The newest version of the stream. Version 2 added interest versions and their acknowledgement.
pub(crate) const VERSION: u32 = 2;
/// The oldest version still supported.
pub(crate) const MIN_VERSION: u32 = 1;

/// The largest size of a request beside its data: names and tags.
pub(super) const REQUEST_OVERHEAD: usize = 1024;
/// The largest size of a batch beside its requests: a ping, an acknowledgement, tags.
pub(super) const BATCH_OVERHEAD: usize = 1024;

/// The status message with which the inbound side ends a stream when its node shuts down. Sent on the wire,
/// and recognized by the outbound side: never change it.
pub(super) const NODE_SHUTDOWN: &str = "the node ends";

/// File descriptors of this protocol, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Why a hello is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HelloError {
    #[error("the first message is not a hello")]
    Missing,
    #[error("the hello has no valid process id")]
    Process,
    #[error(
        "the peer supports versions {their_min} to {their_max}, this node {our_min} to {our_max}"
    )]
    Version {
        our_min: u32,
        our_max: u32,
        their_min: u32,
        their_max: u32,
    },
}

impl From<HelloError> for Status {
    fn from(error: HelloError) -> Self {
        let text = error.to_string();
        match error {
            HelloError::Missing | HelloError::Process => Self::invalid_argument(text),
            HelloError::Version { .. } => Self::failed_precondition(text),
        }
    }
}

impl Hello {
    /// The peer's process, and the newest version that both sides support.
    pub(super) fn negotiate(
        &self,
        versions: &RangeInclusive<u32>,
    ) -> Result<(Uuid, u32), HelloError> {
        let process = Uuid::from_slice(&self.process).map_err(|_| HelloError::Process)?;
        let (our_min, our_max) = (*versions.start(), *versions.end());
        let version = our_max.min(self.version);
        if version < our_min || version < self.min_version {
            return Err(HelloError::Version {
                our_min,
                our_max,
                their_min: self.min_version,
                their_max: self.version,
            });
        }
        Ok((process, version))
    }

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

impl From<Reached> for delivery::Reached {
    fn from(reached: Reached) -> Self {
        Self {
            delivered: reached.delivered,
            offline: reached.offline,
            refused: reached.refused,
            queue_full: reached.queue_full,
            incomplete: reached.incomplete,
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
        }
    }
}
