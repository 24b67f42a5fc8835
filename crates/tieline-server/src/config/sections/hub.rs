//! The options of a hub: who may connect to it, and how much its clients may do.

use tieline::Origins;

use super::limits::{ExcessPolicy, SlowConsumerPolicy};
use crate::config::{
    option::{Invalid, Place, Setting},
    section::section,
    suggest,
    types::{Origin, Size},
};

section! {
    /// Who may connect to a hub, and what its clients may do there.
    pub(crate) struct HubSettings in "hub_defaults" {
        anonymous: Option<Anonymous> = None,
            "Who may connect without a token and choose a name with ?user=: \"never\", \"loopback\" or \"anyone\".",
            "With \"anyone\", everybody who reaches the server can impersonate everybody: only for a server that is \
             reached through a proxy that authenticates.",
            flag: "anonymous", metavar: "WHO", without: "\"loopback\", or \"never\" if there are keys or issuers", live: true;
        anonymous_roles: Vec<String> = vec!["webpubsub.joinLeaveGroup".into(), "webpubsub.sendToGroup".into()],
            "What clients without a token may do: roles, as in tokens.",
            "Any other word, such as \"none\", permits nothing.",
            flag: "anonymous-role", variable: "TIELINE_ANONYMOUS_ROLES", metavar: "ROLE", live: true;
        origins: Vec<Origin> = Vec::new(),
            "Origins whose pages may connect, such as \"https://example.org\"; \"*\" allows all.",
            "A page of any other origin gets 403. Programs that send no origin always may.",
            flag: "origin", variable: "TIELINE_ORIGINS", without: "the server's own", live: true;
        max_connections: Option<usize> = None,
            "Maximum number of clients of the hub on a node.",
            "Further clients get 429.",
            without: "no maximum", live: true;
        max_connections_per_user: Option<usize> = None,
            "Maximum number of clients of a user on a node.",
            "Further clients get 429. About 250 bytes for each user.",
            without: "no maximum", live: true;
        max_connect_rate: Option<u32> = None,
            "Maximum number of clients per second that connect to the hub on a node.",
            "Beyond it, `limits.connect_excess` applies.",
            without: "no maximum", live: true;
        max_connect_rate_per_user: Option<u32> = None,
            "Maximum number of clients of a user per second that connect to a node.",
            "Beyond it, `limits.connect_excess` applies. About 250 bytes for each user.",
            without: "no maximum", live: true;
        max_message_rate: Option<u32> = None,
            "Maximum number of messages per second from all clients of the hub on a node.",
            "Beyond it, `hub_defaults.rate_excess` applies to whoever sends.",
            without: "no maximum", live: true;
        max_message_rate_per_user: Option<u32> = None,
            "Maximum number of messages per second from the clients of a user on a node.",
            "Beyond it, `hub_defaults.rate_excess` applies. About 250 bytes for each user.",
            without: "no maximum", live: true;
        max_message_rate_per_client: Option<u32> = None,
            "Maximum number of messages per second from a client.",
            "About 450 bytes per connection; beyond it, `hub_defaults.rate_excess` applies.",
            without: "`limits.max_message_rate`", live: true;
        max_byte_rate: Option<Size<u32>> = None,
            "Maximum number of bytes per second from all clients of the hub on a node.",
            "Beyond it, `hub_defaults.rate_excess` applies to whoever sends.",
            without: "no maximum", live: true;
        max_byte_rate_per_user: Option<Size<u32>> = None,
            "Maximum number of bytes per second from the clients of a user on a node.",
            "Beyond it, `hub_defaults.rate_excess` applies. About 250 bytes for each user.",
            without: "no maximum", live: true;
        max_byte_rate_per_client: Option<Size<u32>> = None,
            "Maximum number of bytes per second from a client.",
            "About 450 bytes per connection; beyond it, `hub_defaults.rate_excess` applies.",
            without: "`limits.max_byte_rate`", live: true;
        rate_excess: Option<ExcessPolicy> = None,
            "What happens if clients of the hub send more than a rate allows.",
            "As for `limits.rate_excess`.",
            metavar: "POLICY", without: "`limits.rate_excess`", live: true;
        max_message: Option<Size<usize>> = None,
            "Maximum size of a message from a client of the hub.",
            "A longer one closes the connection with 1009. At most `limits.max_message`, which applies otherwise.",
            without: "`limits.max_message`", live: true;
        max_groups: Option<usize> = None,
            "Maximum number of groups that a client of the hub may join.",
            "Further joins of the client fail; a backend may join it to `limits.max_groups`.",
            without: "`limits.max_groups`", live: true;
        max_outbox: Option<Size<usize>> = None,
            "Maximum number of bytes queued for a client of the hub.",
            "Beyond it, `hub_defaults.slow_consumer` applies. At most `limits.max_outbox`; a message that is longer is \
             still sent to a client for whom nothing is queued.",
            without: "`limits.max_outbox`", live: true;
        max_outbox_frames: Option<usize> = None,
            "Maximum number of messages queued for a client of the hub.",
            "Beyond it, `hub_defaults.slow_consumer` applies. At most `limits.max_outbox_frames`.",
            without: "`limits.max_outbox_frames`", live: true;
        slow_consumer: Option<SlowConsumerPolicy> = None,
            "What happens if a client of the hub falls further behind.",
            "As for `limits.slow_consumer`.",
            metavar: "POLICY", without: "`limits.slow_consumer`", live: true;
        max_request_rate: Option<u32> = None,
            "Maximum number of requests of backends per second for the hub on a node.",
            "Further ones get 429 with Retry-After. One second's worth may come at once (`limits.rate_burst`).",
            without: "no maximum", live: true;
    }
}

impl HubSettings {
    /// Whether a rate lets nobody send, or in.
    pub(crate) fn has_zero_rate(&self) -> bool {
        let bytes = [
            self.max_byte_rate,
            self.max_byte_rate_per_user,
            self.max_byte_rate_per_client,
        ];
        let rates = [
            self.max_connect_rate,
            self.max_connect_rate_per_user,
            self.max_message_rate,
            self.max_message_rate_per_user,
            self.max_message_rate_per_client,
            self.max_request_rate,
        ];
        rates.contains(&Some(0)) || bytes.contains(&Some(Size(0)))
    }

    pub(crate) fn origins(&self) -> Origins {
        Origin::list(&self.origins).unwrap_or(Origins::SameHost)
    }
}

/// Who may connect without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Never,
    Loopback,
    Anyone,
}

impl Anonymous {
    /// The word for what somebody has written.
    fn meant(text: &str, place: &Place<'_>) -> Option<&'static str> {
        match bool::from_text(text, place) {
            Ok(true) => Some("anyone"),
            Ok(false) => Some("never"),
            Err(_) => suggest::nearest(text, ["never", "loopback", "anyone"].into_iter()),
        }
    }
}

impl Setting for Anonymous {
    const EXPECTED: &'static str = "\"never\", \"loopback\" or \"anyone\"";
    const METAVAR: &'static str = "WHO";
    const BARE: Option<&'static str> = Some("anyone");

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        match text {
            "never" => Ok(Self::Never),
            "loopback" => Ok(Self::Loopback),
            "anyone" => Ok(Self::Anyone),
            // Not taken for it: a server that anyone may use is one whose operator has written so.
            _ => Err(match (Self::meant(text, place), Invalid::text(text)) {
                (Some(meant), Invalid::Found(found)) => Invalid::FoundFor(found, meant),
                (_, invalid) => invalid,
            }),
        }
    }

    fn show(&self) -> String {
        let word = match self {
            Self::Never => "never",
            Self::Loopback => "loopback",
            Self::Anyone => "anyone",
        };
        format!("{word:?}")
    }
}
