//! From tables of webhooks to what the server posts to.
//!
//! Owns the checks of a table that the configuration cannot make by itself, and the files that it names. Must not
//! know what is sent.

use std::{sync::Arc, time::Duration};

use http::HeaderName;

use crate::{
    config::{
        error::ConfigErrors,
        files,
        secret_headers::is_of_request,
        sections::pusher_webhooks::WebhookTable,
        settings::{Settings, webhook_list},
        values::{Values, list_scope},
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

/// The webhooks of all apps.
pub(super) fn webhooks(
    settings: &Settings,
    values: &Values,
    apps: &Apps,
) -> anyhow::Result<LiveWebhooks> {
    let mut webhooks = Vec::new();
    let lists = settings.pusher_apps.iter().zip(&settings.pusher_webhooks);
    for (index, (app, tables)) in lists.enumerate() {
        let app = app.id.as_deref().and_then(|id| apps.by_id(id));
        let list = webhook_list(index);
        for (index, table) in tables.iter().enumerate() {
            let scope = list_scope(&list, index);
            let invalid = |option: &str, why: &str| {
                let mut options = WebhookTable::OPTIONS.iter();
                let option = options.find(|known| known.name == option);
                let name = option.map(|option| values.name_of(option, Some(&scope)));
                ConfigErrors::one(format!("{} {why}", name.unwrap_or_default()))
            };
            if let Some(app) = &app {
                webhooks.push(webhook(table, app, invalid)?);
            }
        }
    }
    Ok(LiveWebhooks::new(webhooks)?)
}

fn webhook(
    table: &WebhookTable,
    app: &Arc<App>,
    invalid: impl Fn(&str, &str) -> ConfigErrors,
) -> anyhow::Result<WebhookSettings> {
    let Some(url) = &table.url else {
        return Err(invalid("url", "is required").into());
    };
    if table.timeout.is_zero() || table.timeout > MAX_TIMEOUT {
        return Err(invalid("timeout", "must be above zero and at most 1m").into());
    }
    if !(1..=MAX_CONCURRENCY).contains(&table.concurrency) {
        return Err(invalid("concurrency", "must be 1 to 1024").into());
    }
    let headers = table.headers.to_map().map_err(|name| {
        let why = format!("has a bad value: that of {name} must be visible ASCII, on one line");
        invalid("headers", &why)
    })?;
    let is_ours =
        |name: &&HeaderName| is_of_request(name) || name.as_str().starts_with("x-pusher-");
    if let Some(name) = headers.keys().find(is_ours) {
        let why = format!("must not have {name}, which the server sets itself");
        return Err(invalid("headers", &why).into());
    }
    let ca = table.ca.as_deref().map(files::read);
    Ok(WebhookSettings {
        app: app.id.clone(),
        hub: app.hub_name(),
        url: url.clone(),
        events: table.events.clone(),
        prefix: table.channel_prefix.clone().unwrap_or_default(),
        suffix: table.channel_suffix.clone().unwrap_or_default(),
        headers,
        ca: ca.transpose()?,
        timeout: table.timeout,
        is_batched: table.batch,
        concurrency: table.concurrency,
    })
}
