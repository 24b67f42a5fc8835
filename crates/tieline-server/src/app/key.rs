//! Access keys, which sign tokens.
//!
//! Owns how a key is made, and which texts are one. Must not know where a key is kept. Invariants: a key is
//! long enough that nobody finds it from a token that it signed, and no text shows it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::config::secret::Secret;

/// Shortest key, in bytes: as long as the hash of HS256 (RFC 7518, 3.2). With a shorter one, the Java SDK
/// sends no token at all, without an error.
const MIN_LENGTH: usize = 32;

/// Bytes of a new key, before they become text.
const RANDOM_BYTES: usize = 48;

/// A key. What signs is its text in UTF-8, as in the SDKs; it is not decoded, even if it looks like Base64.
#[derive(Debug, Clone)]
pub(crate) struct AccessKey(Secret);

/// The text is not a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has {0} bytes, and needs at least {MIN_LENGTH}; make one with `tieline key`")]
pub(crate) struct ShortKey(usize);

impl AccessKey {
    pub(crate) fn new(text: &str) -> Result<Self, ShortKey> {
        if text.len() < MIN_LENGTH {
            return Err(ShortKey(text.len()));
        }
        Ok(Self(Secret::new(text)))
    }

    /// A new key: 48 random bytes as 64 letters, digits, `-` and `_`, which no shell, URL or connection
    /// string has to escape.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let text = URL_SAFE_NO_PAD.encode(random);
        Ok(Self(Secret::new(text)))
    }

    /// The text, to sign with it or to hand it to its owner.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The keys of a server. Tokens of both are valid, so that one can be replaced while the other is in use.
#[derive(Debug, Clone)]
pub(crate) struct AccessKeys {
    pub(crate) primary: AccessKey,
    pub(crate) secondary: Option<AccessKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_at_least_32_bytes_of_text() {
        let longest_short = "k".repeat(31);
        let error = AccessKey::new(&longest_short).unwrap_err();
        assert!(
            error.to_string().contains("31 bytes") && error.to_string().contains("tieline key")
        );
        assert!(AccessKey::new(&"k".repeat(32)).is_ok());
        // Bytes count, not characters.
        assert!(AccessKey::new(&"é".repeat(16)).is_ok());
    }

    #[test]
    fn a_new_key_is_like_no_other() {
        let [one, other] = [(); 2].map(|()| AccessKey::generate().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one.expose(), other.expose());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(one.expose().chars().all(plain));
    }

    #[test]
    fn no_text_shows_a_key() {
        let primary = AccessKey::generate().unwrap();
        let keys = AccessKeys {
            secondary: Some(primary.clone()),
            primary: primary.clone(),
        };
        assert!(!format!("{keys:?} {}", primary.0).contains(primary.expose()));
    }
}
