//! One event handler: which events it wants, and the server that it is.
//!
//! Must not know what the events say. Invariant: an event that a handler does not want is never sent to it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    cloud_event::{CloudEvent, Sender},
    memory::Memory,
    settings::{HandlerSettings, SystemEvents},
};
use crate::{
    app::{
        events::{EventKind, GroupChange},
        inspection::reports::HandlerReport,
    },
    http_client::{Answer, Authorities, AuthorityError},
    webhook::endpoint::{CallError, Endpoint, EndpointSettings, Patience},
};
use tieline::Bytes;

/// Longest name of an event, in bytes. It is a header and a part of a URL.
const MAX_NAME: usize = 1024;

#[derive(Debug)]
pub(super) struct EventHandler {
    settings: Arc<HandlerSettings>,
    sender: Arc<Sender>,
    endpoint: Endpoint,
}

/// Why an event has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventError {
    #[error("the event handler {0}")]
    Call(#[from] CallError),
    /// Of an event that is no part of a URL.
    #[error("this event has a name that cannot be passed on")]
    Name,
}

impl EventHandler {
    pub(super) fn new(
        settings: Arc<HandlerSettings>,
        sender: Arc<Sender>,
    ) -> Result<Self, AuthorityError> {
        let endpoint = EndpointSettings {
            name: settings.url.to_string(),
            concurrency: settings.concurrency,
            authorities: Authorities::of(settings.url.is_https(), settings.ca.as_deref()),
            headers: settings.headers.clone(),
            validation: sender.validation(),
            host: sender.host.to_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            endpoint: Endpoint::new(endpoint)?,
            settings,
            sender,
        })
    }

    pub(super) fn wants(&self, event: EventKind<'_>) -> bool {
        let HandlerSettings {
            system_events,
            user_events,
            group_events,
            ..
        } = &*self.settings;
        let SystemEvents {
            connect,
            connected,
            disconnected,
        } = *system_events;
        match event {
            EventKind::Connect => connect,
            EventKind::Connected => connected,
            EventKind::Disconnected => disconnected,
            EventKind::User(name) => name.len() <= MAX_NAME && user_events.match_name(name),
            EventKind::Group(change, group) => {
                let wanted = match change {
                    GroupChange::Joined => group_events.joined,
                    GroupChange::Left => group_events.left,
                };
                wanted && group_events.groups.match_name(group)
            }
        }
    }

    /// How it is doing, as a handler of `hub`.
    pub(super) fn report(&self, hub: String) -> HandlerReport {
        HandlerReport {
            hub,
            url: self.settings.url.to_string(),
            endpoint: self.endpoint.report(),
        }
    }

    /// How long a client that connects waits.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// How long any other event may take.
    pub(super) fn event_timeout(&self) -> Duration {
        self.settings.event_timeout
    }

    pub(super) async fn send(
        &self,
        event: CloudEvent<'_>,
        memory: &Memory,
        body: Bytes,
        (timeout, patience): (Duration, Patience),
    ) -> Result<Answer, EventError> {
        let deadline = Instant::now() + timeout;
        let url = |name| self.settings.url.expand(event.hub, name);
        let asked = url("validate").ok_or(EventError::Name)?;
        let uri = url(event.name).ok_or(EventError::Name)?;
        let request = self.sender.request(uri, event, memory, body);
        let called = self.endpoint.call(&request, &asked, deadline, patience);
        Ok(called.await?)
    }
}
