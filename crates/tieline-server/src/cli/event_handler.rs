//! The flags of the event handler: the server of the application that gets the events of clients.
//!
//! Owns the files that they name, and their defaults. Must not know what is sent. Invariant: the token is in
//! no text.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use aws_lc_rs::hmac;
use clap::{Args, ValueEnum};
use http::HeaderValue;
use tieline::Config;

use crate::{
    app::key::{AccessKey, AccessKeys},
    config::error::ConfigErrors,
    wire::webpubsub::upstream::{
        Patterns, UrlTemplate,
        settings::{GroupEvents, HandlerSettings, SystemEvents, UpstreamSettings},
    },
};

#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
#[command(next_help_heading = "Event handler")]
pub(super) struct EventHandlerFlags {
    /// URL of the server that gets the events of clients, with {hub} and {event} where their names belong
    ///
    /// For example http://127.0.0.1:3000/eventhandler. Events are `CloudEvents`, as the SDKs for event
    /// handlers of Web PubSub expect them.
    #[arg(long, value_name = "URL", env = "TIELINE_EVENT_HANDLER")]
    event_handler: Option<UrlTemplate>,
    /// System events to send
    #[arg(
        long,
        value_name = "EVENTS",
        value_enum,
        value_delimiter = ',',
        default_value = "connect,connected,disconnected",
        env = "TIELINE_EVENT_HANDLER_SYSTEM_EVENTS"
    )]
    event_handler_system_events: Vec<SystemEvent>,
    /// Events of clients to send: patterns between commas
    ///
    /// * and ? stand for any characters but dots, ** for any characters.
    #[arg(
        long,
        value_name = "PATTERNS",
        default_value = "**",
        env = "TIELINE_EVENT_HANDLER_USER_EVENTS"
    )]
    event_handler_user_events: String,
    /// Groups whose joins and leaves to send: patterns between commas [default: none]
    #[arg(
        long,
        value_name = "PATTERNS",
        default_value = "",
        hide_default_value = true,
        env = "TIELINE_EVENT_HANDLER_GROUPS"
    )]
    event_handler_groups: String,
    /// Seconds that a client which connects waits for the event handler; less than --decision-timeout
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..),
        env = "TIELINE_EVENT_HANDLER_CONNECT_TIMEOUT"
    )]
    event_handler_connect_timeout: u64,
    /// Seconds that any other event may take, retries included
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        env = "TIELINE_EVENT_HANDLER_TIMEOUT"
    )]
    event_handler_timeout: u64,
    /// Maximum number of requests to the event handler at a time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        env = "TIELINE_EVENT_HANDLER_CONCURRENCY"
    )]
    event_handler_concurrency: u32,
    /// Host by which the event handler knows this server [default: the IP address of --listen]
    ///
    /// It is the WebHook-Request-Origin of requests, which the event handler must allow.
    #[arg(long, value_name = "HOST", env = "TIELINE_EVENT_HANDLER_ORIGIN", value_parser = origin)]
    event_handler_origin: Option<HeaderValue>,
    /// File with the token to send as Authorization: Bearer
    #[arg(long, value_name = "FILE", env = "TIELINE_EVENT_HANDLER_BEARER_FILE")]
    event_handler_bearer_file: Option<PathBuf>,
    /// Authority that signed the event handler's certificate (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "TIELINE_EVENT_HANDLER_CA")]
    event_handler_ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SystemEvent {
    /// Before a client is connected; the answer decides
    Connect,
    /// When a client is connected
    Connected,
    /// When a client is gone
    Disconnected,
}

impl EventHandlerFlags {
    /// Where the events of clients go, if anywhere. `listen` is the address for clients, and `keys` sign.
    pub(super) fn settings(
        &self,
        listen: IpAddr,
        keys: Option<&AccessKeys>,
        config: &Config,
    ) -> anyhow::Result<Option<UpstreamSettings>> {
        let Some(url) = &self.event_handler else {
            return Ok(None);
        };
        let connect_timeout = Duration::from_secs(self.event_handler_connect_timeout);
        if connect_timeout >= config.decision_timeout {
            let text = "--event-handler-connect-timeout must be less than --decision-timeout";
            return Err(ConfigErrors::one(text).into());
        }
        let wants = |event| self.event_handler_system_events.contains(&event);
        let groups = patterns(Patterns::exact(&self.event_handler_groups))?;
        let handler = HandlerSettings {
            url: url.clone(),
            system_events: SystemEvents {
                connect: wants(SystemEvent::Connect),
                connected: wants(SystemEvent::Connected),
                disconnected: wants(SystemEvent::Disconnected),
            },
            user_events: patterns(Patterns::any_case(&self.event_handler_user_events))?,
            group_events: GroupEvents {
                joined: true,
                left: true,
                groups,
            },
            connect_timeout,
            event_timeout: Duration::from_secs(self.event_handler_timeout),
            concurrency: self.event_handler_concurrency as usize,
            authorization: self.bearer()?,
            ca: self.event_handler_ca.as_deref().map(read).transpose()?,
        };
        let host = match &self.event_handler_origin {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(&listen.to_string())?,
        };
        Ok(Some(UpstreamSettings {
            host,
            keys: keys.map_or_else(Vec::new, signing_keys),
            handlers: vec![handler],
            max_groups: config.groups_per_connection,
        }))
    }

    fn bearer(&self) -> anyhow::Result<Option<HeaderValue>> {
        let Some(path) = &self.event_handler_bearer_file else {
            return Ok(None);
        };
        let file = read(path)?;
        let token = file.trim_ascii();
        let header = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
        let mut header = header.ok().filter(|_| !token.is_empty()).ok_or_else(|| {
            let path = path.display();
            ConfigErrors::one(format!("{path} must have one line: the token"))
        })?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

/// Both keys sign, so that handlers can replace theirs at any time.
fn signing_keys(keys: &AccessKeys) -> Vec<hmac::Key> {
    let all = [Some(&keys.primary), keys.secondary.as_ref()];
    let all = all.into_iter().flatten();
    let key = |key: &AccessKey| hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    all.map(key).collect()
}

fn patterns(list: Result<Patterns, String>) -> Result<Patterns, ConfigErrors> {
    let problem = |pattern| {
        format!(
            "invalid pattern {pattern:?}: it has more than five stars, or ends with a backslash"
        )
    };
    list.map_err(|pattern| ConfigErrors::one(problem(pattern)))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let expected = || "expected a host name, such as ws.example.org".to_owned();
    if text.is_empty() || text.contains(['/', ',', ' ', '*']) {
        return Err(expected());
    }
    HeaderValue::from_str(text).map_err(|_| expected())
}
