//! The flags of the event handler: the short form of a table in `hub_defaults.event_handlers`.
//!
//! Owns their names and defaults. Must not check what they mean, which `upstream` does for tables too.
//! Invariant: the token is in no text.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use crate::config::{
    option::Setting,
    secret::Secret,
    sections::event_handlers::{EventHandlerTable, GroupEventName, SystemEvent},
    url_template::UrlTemplate,
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
        value_delimiter = ',',
        value_parser = system_event,
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
    /// File with the token to send as Authorization: Bearer
    #[arg(long, value_name = "FILE", env = "TIELINE_EVENT_HANDLER_BEARER_FILE")]
    event_handler_bearer_file: Option<PathBuf>,
    /// Authority that signed the event handler's certificate (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "TIELINE_EVENT_HANDLER_CA")]
    event_handler_ca: Option<PathBuf>,
}

impl EventHandlerFlags {
    /// The table that the flags stand for, if there is a URL.
    pub(super) fn table(&self) -> anyhow::Result<Option<EventHandlerTable>> {
        let Some(url) = &self.event_handler else {
            return Ok(None);
        };
        let bearer = self.event_handler_bearer_file.as_deref().map(bearer);
        Ok(Some(EventHandlerTable {
            url: Some(url.clone()),
            system_events: self.event_handler_system_events.clone(),
            user_events: Some(self.event_handler_user_events.clone()),
            group_events: vec![GroupEventName::Joined, GroupEventName::Left],
            group_filters: Some(self.event_handler_groups.clone()),
            connect_timeout: Duration::from_secs(self.event_handler_connect_timeout),
            event_timeout: Duration::from_secs(self.event_handler_timeout),
            concurrency: self.event_handler_concurrency as usize,
            bearer: bearer.transpose()?,
            ca: self.event_handler_ca.clone(),
        }))
    }
}

fn system_event(word: &str) -> Result<SystemEvent, String> {
    match word {
        "connect" => Ok(SystemEvent::Connect),
        "connected" => Ok(SystemEvent::Connected),
        "disconnected" => Ok(SystemEvent::Disconnected),
        _ => Err(format!("expected {}", SystemEvent::EXPECTED)),
    }
}

/// The token of a file, without blanks and line breaks around it.
fn bearer(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text.trim()))
}
