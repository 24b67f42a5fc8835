//! Why a client may not connect: what it is told, and the word for it in the log.
//!
//! Must not know who decides. Invariant: the word is one of the program, so that lines can be counted by it.

use tieline::Refusal;

/// A refusal with its reason.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) reason: &'static str,
}

impl Refused {
    pub(super) fn new(refusal: Refusal, reason: &'static str) -> Self {
        Self { refusal, reason }
    }
}

impl From<Refusal> for Refused {
    /// What is wrong with the request itself.
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal, "request")
    }
}
