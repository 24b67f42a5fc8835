//! Hands the events of connections to the event handler, and its answers to the clients.
//!
//! Owns which events are queued, what waits of all clients together, and when an event is answered. Must not
//! know who handles events, nor the syntax of frames. Invariants: the events of a connection are handled in
//! the order of its frames, `connected` first and `disconnected` last; an answer leaves before its ack; what
//! is no event of a connection never waits for one.

use std::{sync::Arc, time::Duration};

use tieline::{CloseCode, CloseFrame, CloseReason, Cluster, Connection};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::{
    outgoing,
    session::{self, Session, SessionSlot},
};
use crate::app::{
    about,
    event_queue::{Job, Offered},
    events::{
        Admission, ConnectError, ConnectRequest, EventClient, EventKind, Events, GroupChange,
        GroupEvent, OperationError, Reply, UserEvent,
    },
    follow::{Follows, What},
    reach::reachable,
    sampled::Sampled,
};
use crate::traces::{context::TraceContext, spans::TARGET};

/// Most bytes of events that wait or are being handled, of all clients together. Beyond it, events fail at
/// once: clients that have none waiting must not be held up by those that have.
const MAX_BYTES: usize = 64 << 20;

pub(super) struct Dispatcher<E> {
    events: Arc<E>,
    /// One for each connection with events that wait.
    tasks: TaskTracker,
    bytes: Arc<Semaphore>,
    follows: Follows,
    given_up: Sampled,
}

/// What is sent to the client when its event is handled.
pub(super) enum ReplyTo {
    /// The answer as a message, and an ack if the frame had an id.
    Ack(Option<u64>),
    /// The answer as that of an invocation.
    Invocation(String),
    /// The answer as a message. Without acks, a failure closes the connection.
    Simple,
}

impl<E: Events> Dispatcher<E> {
    pub(super) fn new(events: E, follows: Follows) -> Self {
        Self {
            events: Arc::new(events),
            tasks: TaskTracker::new(),
            bytes: Arc::new(Semaphore::new(MAX_BYTES)),
            follows,
            given_up: Sampled::default(),
        }
    }

    pub(super) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Option<Result<Admission<E::Memory>, ConnectError>> {
        let events = self.handler_of(request.hub.as_str(), EventKind::Connect)?;
        Some(events.connect(request).await)
    }

    /// Reports a connection, once every node reaches it by its id, its user and its groups: an event handler
    /// may answer through another node.
    pub(super) fn connected(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        cluster: &Cluster,
    ) {
        let Some(events) = self.handler_of(connection.namespace(), EventKind::Connected) else {
            return;
        };
        let span = span("connected", connection);
        let cluster = cluster.clone();
        let (connection, session) = (connection.clone(), slot.open(connection));
        let queue = Arc::clone(&session.queue);
        let job: Job = Box::pin(async move {
            if !reachable(&cluster, &connection).await {
                tracing::debug!("reporting a connection that other nodes may not reach yet");
            }
            events.connected(client(&connection, &session)).await;
        });
        queue.push(&self.tasks, 0, in_span(span, job));
    }

    /// Queues an event. While too many of the client wait, this does, and the client is not read.
    pub(super) async fn user_event(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        event: UserEvent,
        reply_to: ReplyTo,
    ) {
        let Some(events) = self.handler_of(connection.namespace(), EventKind::User(&event.name))
        else {
            let error = OperationError::no_event_handler();
            self.refused(connection, &error);
            return reply_to.failed(connection, &error);
        };
        let session = slot.open(connection);
        let queue = Arc::clone(&session.queue);
        queue.room().await;
        let size = event.payload.data().get().len();
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(permits) else {
            let error = too_much();
            self.refused(connection, &error);
            return reply_to.failed(connection, &error);
        };
        let span = span("user", connection);
        let (connection, follows) = (connection.clone(), self.follows.clone());
        let job: Job = Box::pin(async move {
            if let ReplyTo::Ack(Some(id)) = reply_to
                && session.acked.lock().contains(id)
            {
                connection.emit(outgoing::duplicate_ack(id));
                return;
            }
            let followed = follows.is_any().then(|| event.name.clone());
            let begun = Instant::now();
            let client = client(&connection, &session);
            let handled = events.user_event(client, event).await;
            if let Some(name) = followed {
                let failure = handled.as_ref().err().map(|error| &*error.message);
                let told = || What::handled(&name, failure, begun.elapsed());
                follows.note(&connection, told);
            }
            match handled {
                Ok(reply) => reply_to.answered(&connection, &session, reply),
                Err(error) => reply_to.failed(&connection, &error),
            }
            drop(bytes);
        });
        queue.push(&self.tasks, size, in_span(span, job));
    }

    pub(super) async fn group_event(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        change: GroupChange,
        group: String,
    ) {
        self.follows
            .note(connection, || What::changed(change, &group));
        let kind = EventKind::Group(change, &group);
        let Some(events) = self.handler_of(connection.namespace(), kind) else {
            return;
        };
        let session = slot.open(connection);
        let queue = Arc::clone(&session.queue);
        queue.room().await;
        let size = group.len();
        let event = GroupEvent { change, group };
        let job = handle_group_event(events, connection.clone(), session, event);
        queue.push(&self.tasks, size, job);
    }

    /// Queues the event of a group that a backend has changed. Nobody waits for room: a backend that changes the
    /// groups of a client faster than its events are handled does not hold up the other clients of its request.
    pub(super) fn group_changed(&self, connection: &Connection, change: GroupChange, group: &str) {
        self.follows
            .note(connection, || What::changed(change, group));
        let kind = EventKind::Group(change, group);
        let Some(events) = self.handler_of(connection.namespace(), kind) else {
            return;
        };
        let session = session::of(connection);
        let queue = Arc::clone(&session.queue);
        let group = group.to_owned();
        let size = group.len();
        let event = GroupEvent { change, group };
        let job = handle_group_event(events, connection.clone(), session, event);
        if queue.offer(&self.tasks, size, job) == Offered::Full
            && let Some(left_out) = self.given_up.due()
        {
            tracing::warn!(
                left_out,
                "gave up the event of a group that a backend has changed: too many events of the client wait"
            );
        }
    }

    pub(super) fn disconnected(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        reason: CloseReason,
    ) {
        let Some(events) = self.handler_of(connection.namespace(), EventKind::Disconnected) else {
            return;
        };
        let span = span("disconnected", connection);
        let (connection, session) = (connection.clone(), slot.open(connection));
        let queue = Arc::clone(&session.queue);
        let job: Job = Box::pin(async move {
            let client = client(&connection, &session);
            events.disconnected(client, reason).await;
        });
        queue.push_last(&self.tasks, in_span(span, job));
    }

    pub(super) async fn drain(&self, limit: Duration) -> usize {
        self.tasks.close();
        // Whatever remains is counted.
        let _ = timeout(limit, self.tasks.wait()).await;
        self.tasks.len()
    }

    /// Tells those who follow a client that its event is not handled.
    fn refused(&self, connection: &Connection, error: &OperationError) {
        let refused = || What::refused(error.name, &error.message);
        self.follows.note(connection, refused);
    }

    fn handler_of(&self, hub: &str, event: EventKind<'_>) -> Option<Arc<E>> {
        let events = &self.events;
        events.handles(hub, event).then(|| Arc::clone(events))
    }
}

fn handle_group_event<E: Events>(
    events: Arc<E>,
    connection: Connection,
    session: Arc<Session<E::Memory>>,
    event: GroupEvent,
) -> Job {
    let kind = match event.change {
        GroupChange::Joined => "joined",
        GroupChange::Left => "left",
    };
    let span = span(kind, &connection);
    let job = Box::pin(async move {
        let client = client(&connection, &session);
        events.group_event(client, event).await;
    });
    in_span(span, job)
}

/// The span of an event, from now until it is handled, in the trace of what has caused it. Not as a child within the
/// process: a span ends with the last of those, and the cause does not wait for its events.
fn span(event: &'static str, connection: &Connection) -> Span {
    let hub = connection.namespace();
    let span = tracing::info_span!(target: TARGET, parent: None, "event", event, hub);
    if let Some(context) = TraceContext::current() {
        context.adopt(&span);
    }
    span
}

fn in_span(span: Span, job: Job) -> Job {
    if span.is_disabled() {
        return job;
    }
    Box::pin(job.instrument(span))
}

fn too_much() -> OperationError {
    OperationError {
        name: "InternalServerError",
        message: "too many events of other clients wait for the event handler; try again".into(),
    }
}

fn client<'a, M>(connection: &'a Connection, session: &'a Session<M>) -> EventClient<'a, M> {
    EventClient {
        connection,
        memory: &session.memory,
    }
}

impl ReplyTo {
    fn answered<M>(&self, connection: &Connection, session: &Session<M>, reply: Option<Reply>) {
        if let Self::Invocation(id) = self {
            let payload = reply.as_ref().map(|reply| &reply.payload);
            connection.emit(outgoing::invoke_response(id, payload));
            return;
        }
        if let Some(Reply { payload, metadata }) = reply {
            let note = payload.to_note();
            connection.emit(match metadata {
                Some(metadata) => note.with_about(about::of("", Some(&metadata))),
                None => note,
            });
        }
        if let Self::Ack(Some(id)) = self {
            session.acked.lock().insert(*id);
            connection.emit(outgoing::ack(*id));
        }
    }

    fn failed(&self, connection: &Connection, error: &OperationError) {
        let OperationError { name, message } = error;
        match self {
            Self::Ack(Some(id)) => drop(connection.emit(outgoing::failed_ack(*id, name, message))),
            // Without an ack id, failure is silent.
            Self::Ack(None) => {}
            Self::Invocation(id) => {
                connection.emit(outgoing::invoke_failed(id, name, message));
            }
            Self::Simple => connection.close(CloseFrame::new(CloseCode::INTERNAL_ERROR, message)),
        }
    }
}
