//! The options of a hub: who may connect to it.

use tieline::Origins;

use crate::config::{
    option::{Invalid, Place, Setting},
    section::section,
    types::Origin,
};

section! {
    /// Who may connect to a hub.
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
    }
}

impl HubSettings {
    pub(crate) fn origins(&self) -> Origins {
        if self.origins.is_empty() {
            Origins::SameHost
        } else if self.origins.iter().any(|origin| origin.0 == "*") {
            Origins::Any
        } else {
            Origins::List(self.origins.iter().map(|origin| origin.0.clone()).collect())
        }
    }
}

/// Who may connect without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Never,
    Loopback,
    Anyone,
}

impl Setting for Anonymous {
    const EXPECTED: &'static str = "\"never\", \"loopback\" or \"anyone\"";
    const METAVAR: &'static str = "WHO";
    const BARE: Option<&'static str> = Some("anyone");

    /// A flag or a variable may also say yes or no to anyone.
    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        match (text, bool::from_text(text, place)) {
            ("never", _) => Ok(Self::Never),
            ("loopback", _) | (_, Ok(false)) => Ok(Self::Loopback),
            ("anyone", _) | (_, Ok(true)) => Ok(Self::Anyone),
            _ => Err(Invalid::text(text)),
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
