//! `tieline token`: its flags, and what it prints.
//!
//! Must not know what a token grants, which the server decides.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    flags::{Flags, Subset},
    keys::primary_key,
};
use crate::{
    app::{
        key::AccessKey,
        token::{
            audience::Endpoint,
            sign::{NewToken, now},
        },
    },
    config::{error::ConfigErrors, hub_name::HubName, option::Opt, settings::Layers, source},
};

/// Characters of a hub's name that a URL cannot have.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.');

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Hub that the client connects to
    #[arg(long, value_name = "NAME", default_value = "chat")]
    hub: HubName,
    /// User of the client [default: none]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Role of the client, such as webpubsub.sendToGroup; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Group that the client is in from the start; repeatable
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Time for which the token is valid, such as 90s, 5m, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    ttl: u64,
    /// URL under which clients reach the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    endpoint: Endpoint,
    #[command(flatten)]
    key: Flags<KeyOption>,
}

/// The key that signs.
#[derive(Debug)]
struct KeyOption;

impl Subset for KeyOption {
    fn has(option: &Opt) -> bool {
        option.section == "keys" && option.name == "primary"
    }
}

impl Token {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let key = self.key()?;
        let hub = self.hub.to_string();
        let path = format!("/client/hubs/{}", utf8_percent_encode(&hub, ENCODED));
        let now = now().context("the clock is before 1970")?;
        let token = NewToken {
            aud: &self.endpoint.http(&path),
            sub: self.user.as_deref(),
            role: &self.roles,
            group: &self.groups,
            iat: now,
            exp: now.saturating_add(self.ttl),
        };
        let token = token.sign(&key).context("cannot sign the token")?;
        let url = self.endpoint.websocket(&path);
        writeln!(std::io::stdout(), "{token}\n{url}?access_token={token}")?;
        Ok(())
    }
}

impl Token {
    fn key(&self) -> Result<AccessKey, ConfigErrors> {
        let layers = Layers {
            file: None,
            flags: self.key.given(),
            is_used: KeyOption::has,
        };
        let (settings, _) = layers.load(&source::environment())?;
        let key = primary_key(&settings)?;
        key.ok_or_else(|| {
            ConfigErrors::one(
                "a key is required: set --key-file or TIELINE_KEY; make one with `tieline key`",
            )
        })
    }
}

/// Parses a time in seconds, minutes, hours or days.
fn seconds(text: &str) -> Result<u64, String> {
    let parsed = text.strip_suffix(['s', 'm', 'h', 'd']).and_then(|number| {
        let unit = match &text[number.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => 86_400,
        };
        number.parse::<u64>().ok()?.checked_mul(unit)
    });
    parsed
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "expected a whole number with a unit, such as 90s, 5m, 1h or 7d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        for (text, expected) in [("90s", 90), ("5m", 300), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "0s",
            "1w",
            "1hé",
            "99999999999999999999d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
