//! The namespace that a connection belongs to. Web PubSub calls it a hub.
//!
//! Owns the syntax of names and how they are compared. Must not know URLs or who may connect. Invariant:
//! a `Namespace` holds a valid name in lower case.

use std::{fmt, str::FromStr};

/// Longest name, in characters.
const MAX_LENGTH: usize = 128;

/// A valid namespace name, in lower case. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(String);

impl Namespace {
    /// Whether `name` names this namespace.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut chars = name.chars();
        let first_fits = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        let rest_fits = chars.all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
        if first_fits && rest_fits && name.len() <= MAX_LENGTH {
            return Ok(Self(name.to_ascii_lowercase()));
        }
        Err(
            "a hub name starts with a letter, followed by up to 127 letters, digits or _`,.[]"
                .into(),
        )
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lower_cased() {
        assert_eq!("Chat".parse(), Ok(Namespace("chat".into())));
        for name in ["", "1a", "a b", "a/b", &"a".repeat(129)] {
            assert!(name.parse::<Namespace>().is_err(), "{name}");
        }
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        let chat: Namespace = "chat".parse().unwrap();
        assert!(chat.is_named("CHAT") && !chat.is_named("chats"));
    }
}
