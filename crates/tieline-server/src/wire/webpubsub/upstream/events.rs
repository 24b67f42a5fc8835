//! The event handlers of the hubs, as the application behind the wire.
//!
//! Owns which of them gets an event, and what becomes of events that none has answered. Must not know how they
//! are reached.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use serde_json::json;
use tieline::{Bytes, CloseReason, StatusCode};

use super::{
    cloud_event::{CloudEvent, Sender},
    connect,
    handler::{EventError, EventHandler},
    memory::Memory,
    reply,
    settings::{HandlerSettings, UpstreamSettings},
};
use crate::{
    app::{
        events::{
            Admission, ConnectError, ConnectRequest, EventClient, EventKind, Events, GroupChange,
            GroupEvent, OperationError, Reply, UserEvent,
        },
        inspection::reports::HandlerReport,
        payload::DataType,
        sampled::Sampled,
    },
    config::per_hub::PerHub,
    http_client::{AuthorityError, ClientError},
    metrics::METRICS,
    webhook::endpoint::{CallError, Patience},
    wire::webpubsub::outgoing::close_text,
};

/// The event handlers of all hubs at the moment: a reload replaces them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LiveHandlers(Arc<ArcSwap<Handlers>>);

/// The event handlers of all hubs. Hubs that have the same list share its endpoints.
#[derive(Debug)]
struct Handlers {
    lists: PerHub<Arc<[Arc<EventHandler>]>>,
    max_groups: usize,
}

impl LiveHandlers {
    pub(crate) fn new(settings: UpstreamSettings) -> Result<Self, AuthorityError> {
        let UpstreamSettings {
            host,
            keys,
            handlers,
            max_groups,
        } = settings;
        let sender = Arc::new(Sender { host, keys });
        let start = |list: &[Arc<HandlerSettings>]| {
            let handler = |settings: &Arc<HandlerSettings>| {
                EventHandler::new(Arc::clone(settings), Arc::clone(&sender)).map(Arc::new)
            };
            list.iter().map(handler).collect::<Result<Arc<[_]>, _>>()
        };
        let defaults = start(handlers.defaults().as_deref().unwrap_or_default())?;
        let lists = handlers.try_map(|own| match own {
            Some(own) => start(own),
            None => Ok(Arc::clone(&defaults)),
        })?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(Handlers {
            lists,
            max_groups,
        }))))
    }

    /// How the handlers of each hub are doing.
    pub(crate) fn report(&self) -> Vec<HandlerReport> {
        let handlers = self.0.load();
        let lists = handlers.lists.iter();
        let reports = lists.flat_map(|(hub, list)| {
            let hub = hub.map_or_else(|| "*".to_owned(), ToString::to_string);
            list.iter().map(move |handler| handler.report(hub.clone()))
        });
        reports.collect()
    }

    /// Gets the events from now on. Those that are under way stay where they are; `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }
}

#[derive(Debug)]
pub(crate) struct Upstream {
    handlers: LiveHandlers,
    /// How many events were given up that nobody waits for.
    given_up: AtomicU64,
    given_up_log: Sampled,
    bad_answers: Sampled,
}

impl Upstream {
    pub(crate) fn new(handlers: LiveHandlers) -> Self {
        Self {
            handlers,
            given_up: AtomicU64::new(0),
            given_up_log: Sampled::default(),
            bad_answers: Sampled::default(),
        }
    }

    /// The first handler of a hub that wants an event.
    fn handler_for(&self, hub: &str, event: EventKind<'_>) -> Option<Arc<EventHandler>> {
        let handlers = self.handlers.0.load();
        let mut list = handlers.lists.of(hub)?.iter();
        list.find(|handler| handler.wants(event)).cloned()
    }

    /// Sends an event that nobody waits for, until its time is over.
    async fn notify(
        &self,
        kind: EventKind<'_>,
        client: EventClient<'_, Memory>,
        (category, name): (&'static str, &'static str),
        body: serde_json::Value,
    ) {
        let Some(handler) = self.handler_for(client.connection.namespace(), kind) else {
            return;
        };
        let event = event_of(&client, category, name, reply::content_type(DataType::Json));
        let body = Bytes::from(body.to_string());
        let patience = (handler.event_timeout(), Patience::UntilDeadline);
        let sent = handler.send(event, client.memory, body, patience);
        let problem = match sent.await {
            Ok(answer) if answer.status.is_success() => return,
            Ok(answer) => format!("answered {}", answer.status),
            Err(error) => error.to_string(),
        };
        METRICS.event_given_up();
        let given_up = self.given_up.fetch_add(1, Ordering::Relaxed) + 1;
        // One line for each client that comes or goes while a handler is away would be a flood.
        if let Some(left_out) = self.given_up_log.due() {
            tracing::warn!(
                event = name,
                problem,
                given_up,
                left_out,
                "gave up an event"
            );
        }
    }
}

impl Events for Upstream {
    type Memory = Memory;

    fn handles(&self, hub: &str, event: EventKind<'_>) -> bool {
        self.handler_for(hub, event).is_some()
    }

    async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<Admission<Memory>, ConnectError> {
        let hub = request.hub.as_str();
        let Some(handler) = self.handler_for(hub, EventKind::Connect) else {
            return Ok(Admission::unchanged(&request));
        };
        let event = CloudEvent {
            hub,
            category: "sys",
            name: "connect",
            number: 0,
            connection_id: request.id,
            user: request.user,
            subprotocol: None,
            content_type: reply::content_type(DataType::Json),
        };
        let body = connect::body(request.upgrade, request.token);
        let patience = (handler.connect_timeout(), Patience::Blocking);
        let memory = Memory::default();
        let sent = handler.send(event, &memory, body, patience);
        let answer = sent.await.map_err(|error| ConnectError {
            status: match error {
                EventError::Call(
                    CallError::NotAllowed | CallError::Client(ClientError::TooLong(_)),
                ) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
            message: client_text(&error).into(),
        })?;
        let max_groups = self.handlers.0.load().max_groups;
        let decision = connect::decision(&answer, &request, max_groups);
        if let Err(ConnectError { message, .. }) = &decision
            && !connect::is_refusal(answer.status)
            && let Some(left_out) = self.bad_answers.due()
        {
            tracing::warn!(
                hub,
                problem = message,
                left_out,
                "cannot use the answer to connect"
            );
        }
        decision
    }

    async fn connected(&self, client: EventClient<'_, Memory>) {
        let kind = EventKind::Connected;
        self.notify(kind, client, ("sys", "connected"), json!({}))
            .await;
    }

    async fn user_event(
        &self,
        client: EventClient<'_, Memory>,
        event: UserEvent,
    ) -> Result<Option<Reply>, OperationError> {
        let UserEvent { name, payload } = event;
        let hub = client.connection.namespace();
        let Some(handler) = self.handler_for(hub, EventKind::User(&name)) else {
            return Err(OperationError::no_event_handler());
        };
        let content_type = reply::content_type(payload.data_type());
        let event = event_of(&client, "user", &name, content_type);
        let body = Bytes::copy_from_slice(payload.to_note().data());
        drop(payload);
        let patience = (handler.event_timeout(), Patience::Blocking);
        let sent = handler.send(event, client.memory, body, patience);
        let answer = sent.await;
        let answer = answer.map_err(|error| reply::error(client_text(&error).into()))?;
        let reply = reply::reply(&answer)?;
        let too_long = |_| reply::error("the event handler set a state that is too long".into());
        client
            .memory
            .keep_state(&answer.headers)
            .map_err(too_long)?;
        Ok(reply)
    }

    async fn group_event(&self, client: EventClient<'_, Memory>, event: GroupEvent) {
        let GroupEvent { change, group } = event;
        let name = match change {
            GroupChange::Joined => "joined",
            GroupChange::Left => "left",
        };
        let kind = EventKind::Group(change, &group);
        self.notify(kind, client, ("gp", name), json!({ "group": group }))
            .await;
    }

    async fn disconnected(&self, client: EventClient<'_, Memory>, reason: CloseReason) {
        let body = json!({ "reason": close_text(&reason) });
        let kind = EventKind::Disconnected;
        self.notify(kind, client, ("sys", "disconnected"), body)
            .await;
    }
}

fn event_of<'a>(
    client: &EventClient<'a, Memory>,
    category: &'static str,
    name: &'a str,
    content_type: &'static str,
) -> CloudEvent<'a> {
    CloudEvent {
        hub: client.connection.namespace(),
        category,
        name,
        number: client.memory.next_number(),
        connection_id: client.connection.id(),
        user: client.connection.user(),
        subprotocol: client.connection.subprotocol(),
        content_type,
    }
}

/// What a client learns of an error. The network behind the server is not its concern; the log has the rest.
fn client_text(error: &EventError) -> &'static str {
    match error {
        EventError::Call(CallError::Late) => "the event handler did not answer in time",
        EventError::Call(
            CallError::Down | CallError::Client(ClientError::Network(_) | ClientError::NotHttp(_)),
        ) => "the event handler does not answer",
        EventError::Call(CallError::NotAllowed) => "the event handler does not allow this server",
        EventError::Call(CallError::Client(ClientError::TooLong(_))) => {
            "the event handler answered with too much data"
        }
        EventError::Name => "an event of this name cannot be passed on",
    }
}
