//! Hands the events of connections to the event handler, and its answers to the clients.
//!
//! Owns which events are queued, what waits of all clients together, and when an event is answered. Must not
//! know who handles events, nor the syntax of frames. Invariants: the events of a connection are handled in
//! the order of its frames, `connected` first and `disconnected` last; an answer leaves before its ack; what
//! is no event of a connection never waits for one.

use std::{sync::Arc, time::Duration};

use tieline::{CloseCode, CloseFrame, CloseReason, Cluster, Connection};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    outgoing,
    session::{Session, SessionSlot},
};
use crate::app::{
    event_queue::Job,
    events::{
        Admission, ConnectError, ConnectRequest, EventClient, EventKind, Events, GroupChange,
        GroupEvent, OperationError, UserEvent,
    },
    payload::Payload,
};

/// Most bytes of events that wait or are being handled, of all clients together. Beyond it, events fail at
/// once: clients that have none waiting must not be held up by those that have.
const MAX_BYTES: usize = 64 << 20;

pub(super) struct Dispatcher<E> {
    events: Arc<E>,
    /// One for each connection with events that wait.
    tasks: TaskTracker,
    bytes: Arc<Semaphore>,
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
    pub(super) fn new(events: E) -> Self {
        Self {
            events: Arc::new(events),
            tasks: TaskTracker::new(),
            bytes: Arc::new(Semaphore::new(MAX_BYTES)),
        }
    }

    pub(super) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Option<Result<Admission<E::Memory>, ConnectError>> {
        let events = self.handler_of(request.hub.as_str(), EventKind::Connect)?;
        Some(events.connect(request).await)
    }

    /// Reports a connection, once every node knows its user and its groups: an event handler that answers
    /// through another node reaches it.
    pub(super) fn connected(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        cluster: &Cluster,
    ) {
        let Some(events) = self.handler_of(connection.namespace(), EventKind::Connected) else {
            return;
        };
        let cluster = cluster.clone();
        let (connection, session) = (connection.clone(), slot.open());
        let queue = Arc::clone(&session.queue);
        let job: Job = Box::pin(async move {
            if !cluster.synced().await {
                tracing::debug!("reporting a connection before every node knows of it");
            }
            events.connected(client(&connection, &session)).await;
        });
        queue.push(&self.tasks, 0, job);
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
            return reply_to.failed(connection, &error);
        };
        let session = slot.open();
        let queue = Arc::clone(&session.queue);
        queue.room().await;
        let size = event.payload.data().get().len();
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(permits) else {
            return reply_to.failed(connection, &too_much());
        };
        let connection = connection.clone();
        let job: Job = Box::pin(async move {
            if let ReplyTo::Ack(Some(id)) = reply_to
                && session.acked.lock().contains(id)
            {
                connection.emit(outgoing::duplicate_ack(id));
                return;
            }
            let client = client(&connection, &session);
            match events.user_event(client, event).await {
                Ok(reply) => reply_to.answered(&connection, &session, reply.as_ref()),
                Err(error) => reply_to.failed(&connection, &error),
            }
            drop(bytes);
        });
        queue.push(&self.tasks, size, job);
    }

    pub(super) async fn group_event(
        &self,
        connection: &Connection,
        slot: &mut SessionSlot<E::Memory>,
        change: GroupChange,
        group: String,
    ) {
        let kind = EventKind::Group(change, &group);
        let Some(events) = self.handler_of(connection.namespace(), kind) else {
            return;
        };
        let (connection, session) = (connection.clone(), slot.open());
        let queue = Arc::clone(&session.queue);
        queue.room().await;
        let size = group.len();
        let job: Job = Box::pin(async move {
            let event = GroupEvent { change, group };
            let client = client(&connection, &session);
            events.group_event(client, event).await;
        });
        queue.push(&self.tasks, size, job);
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
        let (connection, session) = (connection.clone(), slot.open());
        let queue = Arc::clone(&session.queue);
        let job: Job = Box::pin(async move {
            let client = client(&connection, &session);
            events.disconnected(client, reason).await;
        });
        queue.push(&self.tasks, 0, job);
    }

    pub(super) async fn drain(&self, limit: Duration) -> usize {
        self.tasks.close();
        // Whatever remains is counted.
        let _ = timeout(limit, self.tasks.wait()).await;
        self.tasks.len()
    }

    fn handler_of(&self, hub: &str, event: EventKind<'_>) -> Option<Arc<E>> {
        let events = &self.events;
        events.handles(hub, event).then(|| Arc::clone(events))
    }
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
    fn answered<M>(&self, connection: &Connection, session: &Session<M>, reply: Option<&Payload>) {
        if let Self::Invocation(id) = self {
            connection.emit(outgoing::invoke_response(id, reply));
            return;
        }
        if let Some(reply) = reply {
            connection.emit(reply.to_note());
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
