//! From tables of event handlers to what the server sends events with.
//!
//! Owns the checks of a table that the configuration cannot make by itself, and the files that it names. Must
//! not know what is sent. Invariant: a token is in no text.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use tieline::Config;

use crate::{
    app::key::{AccessKey, AccessKeys},
    config::{
        error::ConfigErrors,
        files,
        secret_headers::{is_of_request, sensitive},
        sections::event_handlers::{
            DEFAULT_LIST, EventHandlerTable, GroupEventName, LIST, SystemEvent,
        },
        settings::Settings,
        values::{Values, hub_scope, list_scope},
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

/// Where the events of each hub go; `keys` sign.
pub(super) fn handlers(
    settings: &Settings,
    values: &Values,
    keys: Option<&AccessKeys>,
    config: &Config,
) -> anyhow::Result<LiveHandlers> {
    let handlers = settings.event_handlers.try_map(|hub, tables| {
        let Some(tables) = tables else {
            return Ok(None);
        };
        let list = match hub {
            None => DEFAULT_LIST.to_owned(),
            Some(hub) => format!("{}.{LIST}", hub_scope(hub.as_str())),
        };
        let handlers = tables.iter().enumerate().map(|(index, table)| {
            let scope = list_scope(&list, index);
            let invalid = |option: &str, why: &str| invalid(values, &scope, option, why);
            handler(table, &invalid, config).map(Arc::new)
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

/// What is wrong with an option of a table.
fn invalid(values: &Values, scope: &str, option: &str, why: &str) -> anyhow::Error {
    let mut options = EventHandlerTable::OPTIONS.iter();
    let option = options.find(|known| known.name == option);
    let name = option.map(|option| values.name_of(option, Some(scope)));
    ConfigErrors::one(format!("{} {why}", name.unwrap_or_default())).into()
}

fn handler(
    table: &EventHandlerTable,
    invalid: &impl Fn(&str, &str) -> anyhow::Error,
    config: &Config,
) -> anyhow::Result<HandlerSettings> {
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
    let ca = table.ca.as_deref().map(files::read);
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
        headers: headers(table, invalid)?,
        ca: ca.transpose()?,
    })
}

/// By which the handler knows who asks.
fn headers(
    table: &EventHandlerTable,
    invalid: &impl Fn(&str, &str) -> anyhow::Error,
) -> anyhow::Result<HeaderMap> {
    const VISIBLE: &str = "must be visible ASCII, on one line";
    let mut headers = table.headers.to_map().map_err(|name| {
        invalid(
            "headers",
            &format!("has a bad value: that of {name} {VISIBLE}"),
        )
    })?;
    if let Some(name) = headers.keys().find(|name| is_ours(name)) {
        let why = format!("must not have {name}, which the server sets itself");
        return Err(invalid("headers", &why));
    }
    let Some(token) = &table.bearer else {
        return Ok(headers);
    };
    let bearer = match token.expose().trim() {
        "" => None,
        token => sensitive(&format!("Bearer {token}")),
    };
    let bearer = bearer.ok_or_else(|| invalid("bearer", VISIBLE))?;
    if headers.insert(AUTHORIZATION, bearer).is_some() {
        return Err(invalid(
            "bearer",
            "is the header authorization, which is also in `headers`",
        ));
    }
    Ok(headers)
}

/// Whether the server sets a header itself.
fn is_ours(name: &HeaderName) -> bool {
    let text = name.as_str();
    is_of_request(name) || text.starts_with("ce-") || text.starts_with("webhook-")
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
