//! From tables of event handlers to what the server sends events with.
//!
//! Owns the checks of a table that the configuration cannot make by itself, and the files that it names. Must
//! not know what is sent. Invariant: a token is in no text.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use aws_lc_rs::hmac;
use http::HeaderValue;
use tieline::Config;

use crate::{
    app::key::{AccessKey, AccessKeys},
    config::{
        error::ConfigErrors,
        secret::Secret,
        sections::event_handlers::{
            DEFAULT_LIST, EventHandlerTable, GroupEventName, LIST, SystemEvent,
        },
        settings::Settings,
    },
    wire::webpubsub::upstream::{
        LiveHandlers, Patterns,
        settings::{GroupEvents, HandlerSettings, SystemEvents, UpstreamSettings},
    },
};

/// Longest time for an event.
const MAX_EVENT_TIMEOUT: Duration = Duration::from_hours(1);

/// Most requests to a handler at a time.
const MAX_CONCURRENCY: usize = 1 << 16;

/// Where the events of each hub go. What is given by flags replaces the list of `hub_defaults`; `keys` sign.
pub(super) fn handlers(
    settings: &Settings,
    by_flags: Option<EventHandlerTable>,
    keys: Option<&AccessKeys>,
    config: &Config,
) -> anyhow::Result<LiveHandlers> {
    let by_flags = by_flags.map(|table| [table]);
    let handlers = settings.event_handlers.try_map(|hub, own| {
        let (place, tables) = match (hub, own, &by_flags) {
            (None, _, Some(table)) => (Place::Flags, &table[..]),
            (_, None, _) => return Ok(None),
            (None, Some(own), None) => (Place::List(DEFAULT_LIST.to_owned()), &own[..]),
            (Some(hub), Some(own), _) => (Place::List(format!("hub.{hub}.{LIST}")), &own[..]),
        };
        let tables = tables.iter().enumerate();
        let handlers = tables.map(|(index, table)| {
            let name = |option: &str| place.name(index, option);
            handler(table, &name, config).map(Arc::new)
        });
        handlers.collect::<anyhow::Result<Vec<_>>>().map(Some)
    })?;
    let host = if let Some(host) = &settings.general.event_handler_origin {
        origin(host)?
    } else {
        let address = settings.general.listen.addresses().next();
        let host = address.map_or_else(|| "localhost".into(), |address| address.ip().to_string());
        HeaderValue::from_str(&host)?
    };
    Ok(LiveHandlers::new(UpstreamSettings {
        host,
        keys: keys.map_or_else(Vec::new, signing_keys),
        handlers,
        max_groups: config.groups_per_connection,
    })?)
}

/// Where a table comes from.
enum Place {
    Flags,
    /// A list of the file.
    List(String),
}

impl Place {
    /// What an error calls an option.
    fn name(&self, index: usize, option: &str) -> String {
        match self {
            Self::Flags => format!("--event-handler-{}", option.replace('_', "-")),
            Self::List(list) => format!("`{list}[{index}].{option}`"),
        }
    }
}

fn handler(
    table: &EventHandlerTable,
    name: &impl Fn(&str) -> String,
    config: &Config,
) -> anyhow::Result<HandlerSettings> {
    let invalid = |option, why: &str| {
        let text = format!("{} {why}", name(option));
        anyhow::Error::from(ConfigErrors::one(text))
    };
    let Some(url) = &table.url else {
        return Err(invalid("url", "is required"));
    };
    if table.connect_timeout.is_zero() || table.connect_timeout >= config.decision_timeout {
        let why = "must be above zero and less than --decision-timeout";
        return Err(invalid("connect_timeout", why));
    }
    if table.event_timeout.is_zero() || table.event_timeout > MAX_EVENT_TIMEOUT {
        return Err(invalid(
            "event_timeout",
            "must be above zero and at most 1h",
        ));
    }
    if !(1..=MAX_CONCURRENCY).contains(&table.concurrency) {
        return Err(invalid("concurrency", "must be 1 to 65536"));
    }
    let patterns = |option, list: &Option<String>, read: fn(&str) -> Result<Patterns, String>| {
        let read = read(list.as_deref().unwrap_or_default());
        read.map_err(|pattern| {
            let why = format!(
                "has the invalid pattern {pattern:?}: more than five stars, or a backslash at the end"
            );
            invalid(option, &why)
        })
    };
    let system = |event| table.system_events.contains(&event);
    let group = |event| table.group_events.contains(&event);
    let bearer = table.bearer.as_ref().map(|token| {
        authorization(token)
            .ok_or_else(|| invalid("bearer", "must be a token in visible ASCII, on one line"))
    });
    let ca = table
        .ca
        .as_ref()
        .map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())));
    Ok(HandlerSettings {
        url: url.clone(),
        system_events: SystemEvents {
            connect: system(SystemEvent::Connect),
            connected: system(SystemEvent::Connected),
            disconnected: system(SystemEvent::Disconnected),
        },
        user_events: patterns("user_events", &table.user_events, Patterns::any_case)?,
        group_events: GroupEvents {
            joined: group(GroupEventName::Joined),
            left: group(GroupEventName::Left),
            groups: patterns("group_filters", &table.group_filters, Patterns::exact)?,
        },
        connect_timeout: table.connect_timeout,
        event_timeout: table.event_timeout,
        concurrency: table.concurrency,
        authorization: bearer.transpose()?,
        ca: ca.transpose()?,
    })
}

fn authorization(token: &Secret) -> Option<HeaderValue> {
    let token = token.expose().trim();
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok();
    let mut header = header.filter(|_| !token.is_empty())?;
    header.set_sensitive(true);
    Some(header)
}

/// Both keys sign, so that handlers can replace theirs at any time.
fn signing_keys(keys: &AccessKeys) -> Vec<hmac::Key> {
    let all = [Some(&keys.primary), keys.secondary.as_ref()];
    let all = all.into_iter().flatten();
    let key = |key: &AccessKey| hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    all.map(key).collect()
}

fn origin(text: &str) -> Result<HeaderValue, ConfigErrors> {
    let header = HeaderValue::from_str(text).ok();
    let header = header.filter(|_| !text.contains(['/', ',', ' ', '*']));
    header.ok_or_else(|| {
        let text = "--event-handler-origin must be a host name, such as ws.example.org";
        ConfigErrors::one(text)
    })
}
