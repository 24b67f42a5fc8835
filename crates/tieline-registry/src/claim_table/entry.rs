//! What a node knows of one id.
//!
//! Owns what follows from it: which operation the id wants next.

use crate::types::{ClaimKind, Stamp};

/// One id. `C` is what the driver knows a connection by.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, in the protocol's words"
)]
pub(super) struct ClaimEntry<C> {
    /// The newest connection here.
    pub(super) connection: Option<C>,
    /// Its arrival.
    pub(super) stamp: Stamp,
    /// Whether its claim was granted once.
    pub(super) granted: bool,
    pub(super) exclusive: bool,
    pub(super) known: Registered,
    /// Whether an operation is under way.
    pub(super) busy: bool,
    /// Whether to ask again after it.
    pub(super) recheck: bool,
}

/// What the registry has for this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registered {
    No,
    Unknown,
    Yes,
}

/// What an id needs of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Claim(ClaimKind),
    Release,
}

impl<C> ClaimEntry<C> {
    pub(super) fn empty() -> Self {
        Self {
            connection: None,
            stamp: Stamp::default(),
            granted: false,
            exclusive: false,
            known: Registered::No,
            busy: false,
            recheck: false,
        }
    }

    /// What to ask of the registry; `audit` asks even where all is believed to be well.
    pub(super) fn wanted(&self, audit: bool) -> Option<Wanted> {
        match (&self.connection, self.known) {
            (Some(_), Registered::Yes) if self.granted => {
                audit.then_some(Wanted::Claim(ClaimKind::Held))
            }
            (Some(_), _) if self.granted => Some(Wanted::Claim(ClaimKind::Held)),
            (Some(_), _) if self.exclusive => Some(Wanted::Claim(ClaimKind::Exclusive)),
            (Some(_), _) => Some(Wanted::Claim(ClaimKind::Fresh)),
            (None, Registered::No) => None,
            (None, _) => Some(Wanted::Release),
        }
    }
}
