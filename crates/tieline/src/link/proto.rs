//! What nodes say to each other: the generated messages, and versions.
//!
//! Owns the negotiation of a version. Must not know sockets.

use bytes::Bytes;
use tonic::Status;
use uuid::Uuid;

use super::config::LinkConfig;

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

/// The newest version of the stream. Version 2 added versions of interest, and what was seen of them.
pub(crate) const VERSION: u32 = 2;
/// The oldest version spoken still.
pub(crate) const OLDEST: u32 = 1;

/// What an answerer says when its node ends in order.
pub(super) const NODE_ENDS: &str = "the node ends";

/// For reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A hello that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HelloError {
    #[error("the first message is no hello")]
    Missing,
    #[error("the hello names no process")]
    Process,
    #[error(
        "the peer speaks versions {their_oldest} to {theirs}, this node {our_oldest} to {ours}"
    )]
    Version {
        ours: u32,
        our_oldest: u32,
        theirs: u32,
        their_oldest: u32,
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
    pub(super) fn new(config: &LinkConfig, epoch: u64) -> Self {
        Self {
            version: *config.speaks.end(),
            oldest: *config.speaks.start(),
            address: config.address.as_deref().unwrap_or_default().to_owned(),
            process: Bytes::copy_from_slice(config.process.as_bytes()),
            epoch,
            largest: config.largest() as u64,
        }
    }

    /// The peer's process, and the newest version that both speak.
    pub(super) fn agree(&self, config: &LinkConfig) -> Result<(Uuid, u32), HelloError> {
        let process = Uuid::from_slice(&self.process).map_err(|_| HelloError::Process)?;
        let (ours, our_oldest) = (*config.speaks.end(), *config.speaks.start());
        let version = ours.min(self.version);
        if version < our_oldest || version < self.oldest {
            return Err(HelloError::Version {
                ours,
                our_oldest,
                theirs: self.version,
                their_oldest: self.oldest,
            });
        }
        Ok((process, version))
    }
}

impl From<Reached> for crate::Reached {
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

impl From<crate::Reached> for Reached {
    fn from(reached: crate::Reached) -> Self {
        Self {
            delivered: reached.delivered,
            offline: reached.offline,
            refused: reached.refused,
            queue_full: reached.queue_full,
            incomplete: reached.incomplete,
        }
    }
}
