//! The names of hubs.
//!
//! Owns their syntax and how they are compared. Must not know which hubs there are. Invariant: a `HubName` is
//! valid and in lower case, so that a hub has one name everywhere.

use std::{borrow::Borrow, fmt, str::FromStr};

use super::option::{Invalid, Place, Setting};

/// Longest name, in characters.
const MAX_LENGTH: usize = 128;

/// A valid name, in lower case. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HubName(String);

impl HubName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Begins the name of the hub of an app. No hub that somebody names can begin with it.
const APP: &str = "pusher/";

impl HubName {
    /// The hub that an app has to itself. Nobody else can name it.
    pub(crate) fn of_app(id: &str) -> Self {
        Self(format!("{APP}{id}"))
    }

    /// The name of any hub, that of an app's own included: for operators, who see both.
    pub(crate) fn of_any(name: &str) -> Result<Self, String> {
        match name.strip_prefix(APP) {
            Some(id) if !id.is_empty() => Ok(Self::of_app(id)),
            _ => name.parse(),
        }
    }

    /// Whether it is such a hub.
    pub(crate) fn is_of_app(&self) -> bool {
        self.0.starts_with(APP)
    }
}

impl FromStr for HubName {
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

impl Setting for HubName {
    const EXPECTED: &'static str = "the name of a hub";
    const METAVAR: &'static str = "HUB";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        text.parse().map_err(Invalid::Other)
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Both compare in the same way.
impl Borrow<str> for HubName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_name_the_hub_of_an_app() {
        let name = HubName::of_app("3");
        assert_eq!(name.as_str(), "pusher/3");
        assert!(name.as_str().parse::<HubName>().is_err());
        assert_eq!(HubName::of_any("pusher/3"), Ok(name));
        assert_eq!(HubName::of_any("Chat"), "chat".parse());
        for other in ["pusher/", "other/3", "/3"] {
            assert!(HubName::of_any(other).is_err(), "{other}");
        }
    }

    #[test]
    fn names_are_checked_and_lower_cased() {
        let longest = "a".repeat(MAX_LENGTH);
        for (name, lower) in [
            ("Chat", "chat"),
            ("a1_`,.[]", "a1_`,.[]"),
            (&longest, &longest),
        ] {
            assert_eq!(name.parse::<HubName>().unwrap().as_str(), lower);
        }
        for name in ["", "1a", "a b", "a/b", "ä", "a\0", &(longest + "a")] {
            assert!(name.parse::<HubName>().is_err(), "{name}");
        }
    }
}
