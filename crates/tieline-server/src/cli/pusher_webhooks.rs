//! From tables of webhooks to what the server posts to.
//!
//! Owns the checks of a table that the configuration cannot make by itself, and the files that it names. Must not
//! know what is sent.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::{authorities, table::Table};
use crate::{
    config::{
        error::ConfigErrors,
        secret_headers::is_of_request,
        sections::pusher_webhooks::WebhookTable,
        settings::{Settings, webhook_list},
        values::{Values, list_scope},
        webhook_url::WebhookUrl,
    },
    wire::pusher::{
        app::{App, Apps},
        webhooks::{LiveWebhooks, settings::WebhookSettings},
    },
};

/// Longest time for a request.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// Most requests to a webhook at a time.
const MAX_CONCURRENCY: usize = 1024;

/// What a table has been checked for.
struct CheckedWebhook {
    url: WebhookUrl,
    headers: HeaderMap,
    ca: Option<Vec<u8>>,
}

/// The webhooks of all apps. Without apps, because these are invalid, only the tables are checked.
pub(super) fn webhooks(
    settings: &Settings,
    values: &Values,
    apps: Option<&Apps>,
) -> Result<LiveWebhooks, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let mut webhooks = Vec::new();
    let lists = settings.pusher_apps.iter().zip(&settings.pusher_webhooks);
    for (index, (app, tables)) in lists.enumerate() {
        let app = app.id.as_deref().and_then(|id| apps?.by_id(id));
        let list = webhook_list(index);
        for (index, own) in tables.iter().enumerate() {
            let scope = list_scope(&list, index);
            let table = Table::at(values, WebhookTable::OPTIONS, scope);
            let checked = errors.take(check(own, &table));
            webhooks.extend(
                app.zip(checked)
                    .map(|(app, checked)| webhook(own, app, checked)),
            );
        }
    }
    match errors.take(LiveWebhooks::new(webhooks)) {
        Some(webhooks) => errors.into_result(webhooks),
        None => Err(errors),
    }
}

fn webhook(own: &WebhookTable, app: &App, checked: CheckedWebhook) -> WebhookSettings {
    let CheckedWebhook { url, headers, ca } = checked;
    WebhookSettings {
        app: app.id.clone(),
        hub: app.hub_name(),
        url,
        events: own.events.clone(),
        prefix: own.channel_prefix.clone().unwrap_or_default(),
        suffix: own.channel_suffix.clone().unwrap_or_default(),
        headers,
        ca,
        timeout: own.timeout,
        is_batched: own.batch,
        concurrency: own.concurrency,
    }
}

fn check(own: &WebhookTable, table: &Table<'_>) -> Result<CheckedWebhook, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    if own.url.is_none() {
        errors.add(table.invalid("url", "is required"));
    }
    if own.timeout.is_zero() || own.timeout > MAX_TIMEOUT {
        errors.add(table.invalid("timeout", "must be above zero and at most 1m"));
    }
    if !(1..=MAX_CONCURRENCY).contains(&own.concurrency) {
        errors.add(table.invalid("concurrency", "must be 1 to 1024"));
    }
    let headers = own.headers.to_map().map_err(|name| {
        let why = format!("has a bad value: that of {name} must be visible ASCII, on one line");
        ConfigErrors::one(table.invalid("headers", &why))
    });
    let headers = errors.take(headers);
    let is_ours =
        |name: &&HeaderName| is_of_request(name) || name.as_str().starts_with("x-pusher-");
    for name in headers.iter().flat_map(HeaderMap::keys).filter(is_ours) {
        let why = format!("must not have {name}, which the server sets itself");
        errors.add(table.invalid("headers", &why));
    }
    let is_https = own.url.as_ref().is_some_and(WebhookUrl::is_https);
    let ca = errors.take(authorities::read(own.ca.as_deref(), is_https, table));
    match (&own.url, headers, ca) {
        (Some(url), Some(headers), Some(ca)) => errors.into_result(CheckedWebhook {
            url: url.clone(),
            headers,
            ca,
        }),
        _ => Err(errors),
    }
}
