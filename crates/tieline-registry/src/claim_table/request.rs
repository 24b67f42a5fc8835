//! What passes between the table and its driver: requests, replies, and the effects of a reply.
//!
//! Plain values. Must not know how the driver sends them. Invariant: the ids of a batch are distinct, and each
//! request gets exactly one reply, [`ClaimReply::NoReply`] if the registry sent none.

use std::sync::Arc;

use crate::{
    id::ClientId,
    types::{Claim, ClaimOutcomes, NodeSession, Release, ReleaseOutcome, Stamp},
};

/// A batch to send to the registry, for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The session to pass to the registry.
    pub session: NodeSession,
    /// What to send.
    pub batch: ClaimBatch,
}

/// Operations of one kind, on different ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimBatch {
    /// For [`Registry::claim`](crate::Registry::claim).
    Claims(Vec<Claim>),
    /// For [`Registry::release`](crate::Registry::release).
    Releases(Vec<Release>),
}

/// The reply to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimReply {
    /// The result of the claims.
    Claims(ClaimOutcomes),
    /// The result of the releases.
    Releases(ReleaseOutcome),
    /// No reply, or an error. The request may have been carried out, or may still be.
    NoReply,
}

/// What the driver must do.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<C> {
    /// The connection with this stamp now has its id.
    Granted(Stamp),
    /// Another connection has the id: refuse this one, or close it if it is open already.
    Refused(C, Stamp),
    /// Ask this node to check whether it still has the id.
    Evict(Arc<str>, ClientId),
    /// The table sends nothing more until [`on_joined`](super::ClaimTable::on_joined) or
    /// [`on_resumed`](super::ClaimTable::on_resumed).
    Stopped(StopReason),
}

/// Why a table has stopped sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The registry does not accept the session: join again.
    SessionLost,
    /// A reply is missing: [fence](crate::Registry::fence) the session, then resume.
    NoReply,
}

impl ClaimBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// The ids of the batch, in order.
    pub fn ids(&self) -> impl Iterator<Item = &ClientId> {
        let (claims, releases) = match self {
            Self::Claims(claims) => (claims.as_slice(), [].as_slice()),
            Self::Releases(releases) => ([].as_slice(), releases.as_slice()),
        };
        let claims = claims.iter().map(|claim| &claim.id);
        claims.chain(releases.iter().map(|release| &release.id))
    }
}

impl ClaimReply {
    /// Why the table stops after this reply to its current session.
    pub(super) fn stop_reason(&self) -> StopReason {
        match self {
            Self::Claims(ClaimOutcomes::Lost) | Self::Releases(ReleaseOutcome::Lost) => {
                StopReason::SessionLost
            }
            _ => StopReason::NoReply,
        }
    }
}
