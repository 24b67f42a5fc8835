//! The settings of a webhook, as the configuration has them.
//!
//! Owns which events a webhook wants. Must not know where settings come from.

use std::{collections::BTreeSet, fmt, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;

use crate::{
    config::{hub_name::HubName, sections::pusher_webhooks::WebhookEvent, webhook_url::WebhookUrl},
    wire::hex,
};

/// One webhook.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookSettings {
    /// The id of its app.
    pub(crate) app: String,
    /// The hub of its app.
    pub(crate) hub: HubName,
    pub(crate) url: WebhookUrl,
    pub(crate) events: Vec<WebhookEvent>,
    /// How the names of its channels begin and end.
    pub(crate) prefix: String,
    pub(crate) suffix: String,
    /// By which the server knows who posts.
    pub(crate) headers: HeaderMap,
    /// The authorities that may sign its certificate, as PEM text; those of the system if `None`.
    pub(crate) ca: Option<Vec<u8>>,
    /// Of a request.
    pub(crate) timeout: Duration,
    /// Whether a request may have several events.
    pub(crate) is_batched: bool,
    /// Most requests under way.
    pub(crate) concurrency: usize,
}

impl WebhookSettings {
    /// The same for the same events of the same channels to the same server, on all nodes. Says nothing of them.
    pub(super) fn digest(&self) -> String {
        let (app, url) = (&self.app, self.url.uri().to_string());
        let events = self.events.iter().map(|event| event.name());
        let what = (events.collect::<BTreeSet<_>>(), &self.prefix, &self.suffix);
        let text = format!("{app:?} {url:?} {what:?}");
        hex::encode(digest(&SHA256, text.as_bytes()).as_ref())
    }

    pub(super) fn wants(&self, event: WebhookEvent, channel: &str) -> bool {
        self.events.contains(&event)
            && channel.starts_with(&*self.prefix)
            && channel.ends_with(&*self.suffix)
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `headers` are secrets.
        let mut settings = f.debug_struct("WebhookSettings");
        settings.field("app", &self.app).field("url", &self.url);
        settings.finish_non_exhaustive()
    }
}
