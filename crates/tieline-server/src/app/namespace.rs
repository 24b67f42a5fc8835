//! The namespace that a connection belongs to. Web PubSub calls it a hub.
//!
//! Owns how names are compared; their syntax is in `config`. Must not know URLs or who may connect. Invariant:
//! a `Namespace` holds a valid name in lower case.

use std::{fmt, str::FromStr};

use crate::config::hub_name;

/// A valid namespace name, in lower case. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` names this namespace.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        hub_name::check(name).map(Self)
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
