//! The names of channels, and what follows from them.
//!
//! Owns which names there can be, and what the beginning of one says. Must not know subscribers.

/// Longest name, in bytes. The documentation of Pusher has 164, its libraries let 200 through.
const MAX_NAME: usize = 200;

/// Begins the channel of a user's own, whose end is the user's id.
const TO_USER: &str = "#server-to-user-";

/// A channel, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel<'a> {
    name: &'a str,
    kind: ChannelKind<'a>,
}

/// What may be done in a channel, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelKind<'a> {
    /// For everybody.
    Public,
    /// For those whom the application lets in.
    Private,
    /// The same, with events that the server cannot read.
    Encrypted,
    /// For those whom the application lets in, who are members of it.
    Presence,
    /// Of the user with this id.
    ToUser(&'a str),
}

impl ChannelKind<'_> {
    /// What metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Encrypted => "encrypted",
            Self::Presence => "presence",
            Self::ToUser(_) => "user",
        }
    }
}

/// There is no channel with this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a channel has 1 to {MAX_NAME} letters, digits and _-=@,.; and the channel of a user begins with {TO_USER}"
)]
pub(super) struct InvalidChannel;

impl<'a> Channel<'a> {
    pub(super) fn parse(name: &'a str) -> Result<Self, InvalidChannel> {
        if let Some(user) = name.strip_prefix(TO_USER) {
            let is_name = !user.is_empty() && name.len() <= tieline::MAX_NAME;
            let kind = ChannelKind::ToUser(user);
            return is_name.then_some(Self { name, kind }).ok_or(InvalidChannel);
        }
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
            return Err(InvalidChannel);
        }
        let kind = if name.starts_with("private-encrypted-") {
            ChannelKind::Encrypted
        } else if name.starts_with("private-") {
            ChannelKind::Private
        } else if name.starts_with("presence-") {
            ChannelKind::Presence
        } else {
            ChannelKind::Public
        };
        Ok(Self { name, kind })
    }

    pub(super) fn name(self) -> &'a str {
        self.name
    }

    /// What metrics call the kind of the channel with a valid name.
    pub(super) fn kind_name(name: &'a str) -> &'static str {
        Self::parse(name).map_or("public", |channel| channel.kind.name())
    }

    pub(super) fn kind(self) -> ChannelKind<'a> {
        self.kind
    }

    /// Whether its last event is kept for those who subscribe later.
    pub(super) fn is_cached(self) -> bool {
        let of_kind = match self.kind {
            ChannelKind::Public => "cache-",
            ChannelKind::Private => "private-cache-",
            ChannelKind::Encrypted => "private-encrypted-cache-",
            ChannelKind::Presence => "presence-cache-",
            ChannelKind::ToUser(_) => return false,
        };
        self.name.starts_with(of_kind)
    }

    /// Whether a subscription needs the signature of the application.
    pub(super) fn needs_signature(self) -> bool {
        !matches!(self.kind, ChannelKind::Public | ChannelKind::ToUser(_))
    }
}

/// Whether the name of a channel may have this byte.
fn fits(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=' | b'@' | b',' | b'.' | b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_name_says_the_kind_of_the_channel() {
        let longest = "x".repeat(MAX_NAME);
        for (name, kind, is_cached) in [
            ("a", ChannelKind::Public, false),
            ("A0_-=@,.;", ChannelKind::Public, false),
            (&*longest, ChannelKind::Public, false),
            ("cache-a", ChannelKind::Public, true),
            ("private-a", ChannelKind::Private, false),
            ("private-cache-a", ChannelKind::Private, true),
            ("private-encrypted-a", ChannelKind::Encrypted, false),
            ("private-encrypted-cache-a", ChannelKind::Encrypted, true),
            ("presence-a", ChannelKind::Presence, false),
            ("presence-cache-a", ChannelKind::Presence, true),
            (
                "#server-to-user-auth0|ü",
                ChannelKind::ToUser("auth0|ü"),
                false,
            ),
        ] {
            let channel = Channel::parse(name).unwrap();
            assert_eq!(
                (channel.kind(), channel.is_cached()),
                (kind, is_cached),
                "{name}"
            );
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        for name in [
            "",
            "a b",
            "ä",
            "#a",
            "#server-to-user-",
            "a/b",
            "a\0",
            &long,
        ] {
            assert_eq!(Channel::parse(name), Err(InvalidChannel), "{name}");
        }
    }
}
