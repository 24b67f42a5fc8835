//! From tables of event handlers to what the server sends events with.
//!
//! Owns the checks of a table that the configuration cannot make by itself, and the files that it names. Must
//! not know what is sent. Invariant: a token is in no text.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use tieline::Config;

use super::{authorities, table::Table};
use crate::{
    app::key::{AccessKey, AccessKeys},
    config::{
        error::ConfigErrors,
        secret_headers::{is_of_request, sensitive},
        sections::event_handlers::{
            DEFAULT_LIST, EventHandlerTable, GroupEventName, LIST, SystemEvent,
        },
        settings::Settings,
        url_template::UrlTemplate,
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
) -> Result<LiveHandlers, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let handlers = settings.event_handlers.map_named(|hub, tables| {
        let list = match hub {
            None => DEFAULT_LIST.to_owned(),
            Some(hub) => format!("{}.{LIST}", hub_scope(hub.as_str())),
        };
        let handlers = tables.as_ref()?.iter().enumerate();
        let handlers = handlers.filter_map(|(index, own)| {
            let scope = list_scope(&list, index);
            let table = Table::at(values, EventHandlerTable::OPTIONS, scope);
            errors.take(handler(own, &table, config)).map(Arc::new)
        });
        Some(handlers.collect::<Vec<_>>())
    });
    let host = errors.take(host(settings));
    let live = host.and_then(|host| {
        let upstream = LiveHandlers::new(UpstreamSettings {
            host,
            keys: keys.map_or_else(Vec::new, signing_keys),
            handlers,
            max_groups: config.groups_per_connection,
        });
        errors.take(upstream)
    });
    match live {
        Some(live) => errors.into_result(live),
        None => Err(errors),
    }
}

fn handler(
    own: &EventHandlerTable,
    table: &Table<'_>,
    config: &Config,
) -> Result<HandlerSettings, ConfigErrors> {
    let mut errors = wrong_bounds(own, table, config);
    if own.url.is_none() {
        errors.add(table.invalid("url", "is required"));
    }
    let patterns = |option, list: &Option<String>, read: fn(&str) -> Result<Patterns, String>| {
        let read = read(list.as_deref().unwrap_or_default());
        read.map_err(|pattern| {
            let why = format!(
                "has the invalid pattern {pattern:?}: more than five stars, or a backslash at the end"
            );
            ConfigErrors::one(table.invalid(option, &why))
        })
    };
    let user_events = errors.take(patterns(
        "user_events",
        &own.user_events,
        Patterns::any_case,
    ));
    let groups = errors.take(patterns(
        "group_filters",
        &own.group_filters,
        Patterns::exact,
    ));
    let is_https = own.url.as_ref().is_some_and(UrlTemplate::is_https);
    let ca = errors.take(authorities::read(own.ca.as_deref(), is_https, table));
    let headers = errors.take(headers(own, table));
    let (Some(url), Some(user_events), Some(groups), Some(headers), Some(ca)) =
        (own.url.clone(), user_events, groups, headers, ca)
    else {
        return Err(errors);
    };
    let system = |event| own.system_events.contains(&event);
    let group = |event| own.group_events.contains(&event);
    errors.into_result(HandlerSettings {
        url,
        system_events: SystemEvents {
            connect: system(SystemEvent::Connect),
            connected: system(SystemEvent::Connected),
            disconnected: system(SystemEvent::Disconnected),
        },
        user_events,
        group_events: GroupEvents {
            joined: group(GroupEventName::Joined),
            left: group(GroupEventName::Left),
            groups,
        },
        connect_timeout: own.connect_timeout,
        event_timeout: own.event_timeout,
        concurrency: own.concurrency,
        headers,
        ca,
    })
}

/// Times and numbers that are out of their bounds.
fn wrong_bounds(own: &EventHandlerTable, table: &Table<'_>, config: &Config) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    if own.connect_timeout.is_zero() || own.connect_timeout >= config.decision_timeout {
        let why = "must be above zero and less than --decision-timeout";
        errors.add(table.invalid("connect_timeout", why));
    }
    if own.event_timeout.is_zero() || own.event_timeout > MAX_EVENT_TIMEOUT {
        errors.add(table.invalid("event_timeout", "must be above zero and at most 1h"));
    }
    if !(1..=MAX_CONCURRENCY).contains(&own.concurrency) {
        errors.add(table.invalid("concurrency", "must be 1 to 65536"));
    }
    errors
}

/// By which the handler knows who asks.
fn headers(own: &EventHandlerTable, table: &Table<'_>) -> Result<HeaderMap, ConfigErrors> {
    const VISIBLE: &str = "must be visible ASCII, on one line";
    let mut errors = ConfigErrors::default();
    let headers = own.headers.to_map().map_err(|name| {
        let why = format!("has a bad value: that of {name} {VISIBLE}");
        ConfigErrors::one(table.invalid("headers", &why))
    });
    let mut headers = errors.take(headers).unwrap_or_default();
    for name in headers.keys().filter(|name| is_ours(name)) {
        let why = format!("must not have {name}, which the server sets itself");
        errors.add(table.invalid("headers", &why));
    }
    if let Some(token) = &own.bearer {
        let bearer = match token.expose().trim() {
            "" => None,
            token => sensitive(&format!("Bearer {token}")),
        };
        match bearer {
            None => errors.add(table.invalid("bearer", VISIBLE)),
            Some(bearer) => {
                if headers.insert(AUTHORIZATION, bearer).is_some() {
                    let why = "is the header authorization, which is also in `headers`";
                    errors.add(table.invalid("bearer", why));
                }
            }
        }
    }
    errors.into_result(headers)
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

/// The host by which handlers know this server.
fn host(settings: &Settings) -> Result<HeaderValue, ConfigErrors> {
    let invalid =
        || ConfigErrors::one("--event-handler-origin must be a host name, such as ws.example.org");
    if let Some(text) = &settings.general.event_handler_origin {
        let header = HeaderValue::from_str(text).ok();
        let header = header.filter(|_| !text.contains(['/', ',', ' ', '*']));
        return header.ok_or_else(invalid);
    }
    let address = settings.general.listen.addresses().next();
    let host = address.map_or_else(|| "localhost".into(), |address| address.ip().to_string());
    HeaderValue::from_str(&host).map_err(|_| invalid())
}
