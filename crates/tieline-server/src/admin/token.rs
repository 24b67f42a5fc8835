//! The token of the admin port.
//!
//! Owns which texts are one, and the comparison. Invariants: no text shows it; how long a comparison takes says
//! nothing about it.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use aws_lc_rs::{
    constant_time,
    digest::{Digest, SHA256, digest},
};

use crate::config::secret::Secret;

/// Shortest token. Attempts are not counted, so it has to be more than a word.
const MIN_LENGTH: usize = 16;

/// A token, as its hash: two hashes have the same length, and so have their comparisons.
pub(crate) struct AdminToken(Digest);

/// The text is not a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it needs at least {MIN_LENGTH} characters, of ASCII and without spaces; make one with `tieline key`"
)]
pub(crate) struct InvalidToken;

impl AdminToken {
    /// That of a secret, which is its first line.
    pub(crate) fn of(secret: &Secret) -> Result<Self, InvalidToken> {
        let line = secret.first_line();
        let is_sendable = line.bytes().all(|byte| byte.is_ascii_graphic());
        if line.len() < MIN_LENGTH || !is_sendable {
            return Err(InvalidToken);
        }
        Ok(Self(digest(&SHA256, line.as_bytes())))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        let other = digest(&SHA256, text.as_bytes());
        constant_time::verify_slices_are_equal(self.0.as_ref(), other.as_ref()).is_ok()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// The token at the moment, if there is one: a reload replaces it. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LiveAdminToken(Arc<ArcSwapOption<AdminToken>>);

impl LiveAdminToken {
    pub(crate) fn new(token: Option<AdminToken>) -> Self {
        Self(Arc::new(ArcSwapOption::from_pointee(token)))
    }

    pub(super) fn load(&self) -> Option<Arc<AdminToken>> {
        self.0.load_full()
    }

    /// Whether requests need one.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// Requests from now on need this one. `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        self.0.store(other.load());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_first_line_and_long_enough() {
        let of = |text: &str| AdminToken::of(&Secret::new(text));
        let token = of("  0123456789abcdef \nmore").unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcdeF",
            "0123456789abcdef0",
            "0123456789abcde",
        ] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        for text in [
            "",
            "0123456789abcde",
            "0123456789 abcdefg",
            "0123456789abcdefé",
        ] {
            assert_eq!(of(text).err(), Some(InvalidToken), "{text}");
        }
    }
}
