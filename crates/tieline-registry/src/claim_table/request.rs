//! What passes between the table and its driver: requests, their answers, and what follows from them.

use std::sync::Arc;

use crate::{
    id::ClientId,
    types::{Claim, ClaimOutcomes, NodeSession, Release, ReleaseOutcome, Stamp},
};

/// How soon something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// New connections and ends of connections: at once, with whatever waits.
    Urgent,
    /// Re-claims, audits, sweeps.
    Slow,
}

/// Operations of one kind, to be carried out together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The session it was made in.
    pub session: NodeSession,
    /// What to do.
    pub batch: ClaimBatch,
}

/// What to ask the registry for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimBatch {
    /// [`Registry::claim`](crate::Registry::claim).
    Claims(Vec<Claim>),
    /// [`Registry::release`](crate::Registry::release).
    Releases(Vec<Release>),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimReply {
    /// The verdicts.
    Claims(ClaimOutcomes),
    /// The releases' outcome.
    Releases(ReleaseOutcome),
    /// No answer, or an error: it may have been carried out, or may still be.
    NoReply,
}

/// What the driver must do.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<C> {
    /// The connection with this stamp has its id.
    Granted(Stamp),
    /// The id is another's: refuse this connection, or close it.
    Refused(C, Stamp),
    /// Tell this node to ask whether it still has the id.
    Evict(Arc<str>, ClientId),
    /// Nothing more is sent until [`joined`](super::ClaimTable::joined) or
    /// [`resumed`](super::ClaimTable::resumed): the session is lost (`true`), or an answer is missing.
    Stopped(bool),
}

impl ClaimBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// The ids that it is about.
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
    pub(super) fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Claims(ClaimOutcomes::Lost) | Self::Releases(ReleaseOutcome::Lost)
        )
    }
}
