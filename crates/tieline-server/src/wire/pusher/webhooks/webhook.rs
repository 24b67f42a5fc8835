//! One webhook: the server that it is, what waits for it, and the requests.
//!
//! Owns when an event is sent and given up. Must not know where events come from. Invariants: a request is signed anew
//! each time it is sent, with the secret that the app has then; tasks are there while something waits, and no longer.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use parking_lot::Mutex;
use tieline::Bytes;
use tokio::time::{Instant, sleep};

use super::{
    super::app::{App, LiveApps},
    event::{self, Event},
    progress::Receipt,
    queue::{Job, Queue},
    settings::WebhookSettings,
};
use crate::{
    app::{clock, inspection::reports::HandlerReport, sampled::Sampled},
    config::sections::pusher_webhooks::WebhookEvent,
    http_client::{Answer, Authorities, AuthorityError, Request},
    metrics::METRICS,
    webhook::endpoint::{Endpoint, EndpointSettings},
};

/// How long an event is sent again before it is given up.
const GIVE_UP: Duration = Duration::from_mins(5);

/// How long the events of a batch are gathered.
const GATHERING: Duration = Duration::from_millis(100);

const KEY: HeaderName = HeaderName::from_static("x-pusher-key");
const SIGNATURE: HeaderName = HeaderName::from_static("x-pusher-signature");

/// A webhook in use.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) settings: WebhookSettings,
    endpoint: Endpoint,
    state: Mutex<State>,
    given_up: Sampled,
    overflows: Sampled,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    /// Tasks that send.
    senders: usize,
    /// One of them gathers events before it sends.
    is_gathering: bool,
}

impl Webhook {
    pub(super) fn new(settings: WebhookSettings) -> Result<Self, AuthorityError> {
        let endpoint = Endpoint::new(EndpointSettings {
            name: settings.url.to_string(),
            concurrency: settings.concurrency,
            authorities: Authorities::of(settings.url.is_https(), settings.ca.as_deref()),
            headers: settings.headers.clone(),
            validation: HeaderMap::new(),
            host: String::new(),
        })?;
        Ok(Self {
            settings,
            endpoint,
            state: Mutex::default(),
            given_up: Sampled::default(),
            overflows: Sampled::default(),
        })
    }

    pub(super) fn wants(&self, kind: WebhookEvent, channel: &str) -> bool {
        self.settings.wants(kind, channel)
    }

    pub(super) fn report(&self) -> HandlerReport {
        HandlerReport {
            hub: self.settings.hub.to_string(),
            url: self.settings.url.to_string(),
            endpoint: self.endpoint.report(),
        }
    }

    /// Whether nothing waits and nothing is being sent.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Sends an event, in its channel's turn.
    pub(super) fn send(
        self: &Arc<Self>,
        apps: &LiveApps,
        event: &Event,
        receipt: Option<Arc<Receipt>>,
    ) {
        let job = Job {
            event: event.clone(),
            deadline: Instant::now() + GIVE_UP,
            receipt,
        };
        let mut state = self.state.lock();
        if state.queue.push(job).is_some() {
            drop(state);
            METRICS.events_given_up(1);
            if let Some(left_out) = self.overflows.due() {
                let (app, url) = (&self.settings.app, &self.settings.url);
                tracing::warn!(app, %url, left_out, "too many events wait for a webhook; one was left out");
            }
            return;
        }
        if state.senders < self.settings.concurrency && !state.is_gathering {
            state.senders += 1;
            state.is_gathering = self.settings.is_batched;
            tokio::spawn(Arc::clone(self).send_all(apps.clone()));
        }
    }

    /// Sends what waits, until nothing may be sent.
    async fn send_all(self: Arc<Self>, apps: LiveApps) {
        if self.settings.is_batched {
            sleep(GATHERING).await;
        }
        loop {
            let batch = {
                let mut state = self.state.lock();
                state.is_gathering = false;
                let batch = state.queue.take(self.settings.is_batched);
                if batch.is_empty() {
                    state.senders -= 1;
                    return;
                }
                batch
            };
            self.post(&apps, &batch).await;
            self.state.lock().queue.sent(&batch);
        }
    }

    async fn post(&self, apps: &LiveApps, batch: &[Job]) {
        let deadline = batch.iter().map(|job| job.deadline).max();
        let deadline = deadline.unwrap_or_else(Instant::now);
        let make = || {
            let app = apps.by_id(&self.settings.app)?;
            let jobs = batch.iter().filter(|job| job.is_current());
            let mut events = jobs.map(|job| &job.event).peekable();
            events.peek()?;
            self.request(&app, event::body(clock::unix_milliseconds(), events))
        };
        let sent = self
            .endpoint
            .deliver(make, self.settings.timeout, deadline)
            .await;
        let problem = match sent {
            Ok(Answer { status, .. }) if status.is_success() => return,
            Ok(Answer { status, .. }) => format!("answered {status}"),
            Err(error) => error.to_string(),
        };
        if !batch.iter().any(Job::is_current) {
            // Another node sends them, or they come again.
            return;
        }
        METRICS.events_given_up(batch.len() as u64);
        if let Some(left_out) = self.given_up.due() {
            let (app, url) = (&self.settings.app, &self.settings.url);
            tracing::warn!(app, %url, problem, left_out, "gave up an event for a webhook");
        }
    }

    fn request(&self, app: &App, body: String) -> Option<Request> {
        let mut headers = HeaderMap::new();
        // Some libraries compare the text.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(KEY, HeaderValue::from_str(&app.key).ok()?);
        let signature = app.sign(body.as_bytes());
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature).ok()?);
        Some(Request {
            method: Method::POST,
            uri: self.settings.url.uri().clone(),
            headers,
            body: Bytes::from(body),
        })
    }
}
