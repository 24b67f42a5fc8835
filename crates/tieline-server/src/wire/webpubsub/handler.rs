//! Carries out what clients send, through the operations of `app`.
//!
//! Owns which operation a frame leads to, its ack, and the close codes for violations of the protocol.
//! Must not know the syntax of frames, which is that of `incoming` and `outgoing`. Invariants: an
//! operation ends before its ack is sent, and one that succeeded is not repeated while its ack id is
//! remembered.

use std::{sync::Arc, time::Duration};

use tieline::{
    Bytes, CloseCode, CloseFrame, CloseReason, Cluster, Connection, ExcessVerdict, Frame, Handler,
    Message, RequestError,
};

use super::{
    client::{self, Client, Language, SimpleMode, TargetGroup},
    dispatcher::{Dispatcher, ReplyTo},
    incoming::{ClientFrame, Operation},
    outgoing,
    sender::Sender,
    session::SessionSlot,
};
use crate::{
    app::{
        connection_log, cuts,
        events::{
            Admission, ConnectError, ConnectRequest, Events, GroupChange, OperationError, UserEvent,
        },
        follow::What,
        inspection::{self, Inspector},
        members, operations,
        payload::Payload,
        role::Permission,
    },
    metrics::METRICS,
};

/// What metrics and the log call the wire.
pub(super) const WIRE: &str = "webpubsub";

/// The error of what is refused because the client, or others with it, send too much.
const TOO_MANY: &str = "TooManyRequests";
const TOO_MUCH: &str = "too much was sent; try again later";

/// The handler of Web PubSub clients.
pub(crate) struct WebPubSub<E: Events> {
    /// For requests of other nodes, which say in which hub.
    cluster: Cluster,
    events: Dispatcher<E>,
    /// For requests of operators at any node.
    inspector: Arc<Inspector>,
}

impl<E: Events> Handler for WebPubSub<E> {
    /// Boxed: the task of a connection holds it, and with more than one word would take another 128 bytes.
    type State = Box<Client<E::Memory>>;

    async fn on_connect(&self, connection: &Connection, client: &mut Self::State) {
        client.data = connection.data();
        let kind = client.kind(connection);
        METRICS.client_entered(client.hub.name().as_str(), WIRE, kind);
        connection_log::accepted(connection, WIRE, kind);
        self.inspector.follows().connected(connection);
        let Client { session, hub, .. } = &mut **client;
        members::connected(hub, connection);
        self.events.connected(connection, session, hub.cluster());
    }

    async fn on_message(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        message: Message,
    ) {
        let Client {
            language,
            hub,
            data,
            session,
        } = &mut **client;
        let sender = Sender {
            connection,
            hub,
            data: data.as_deref(),
            follows: self.inspector.follows(),
        };
        match (language, message) {
            (Language::Json, Message::Text(text)) => match ClientFrame::parse(&text) {
                Ok(incoming) => self.incoming(sender, session, incoming).await,
                Err(error) => {
                    self.cut(sender, CloseCode::INVALID_PAYLOAD, &error.to_string());
                }
            },
            (Language::Json, Message::Binary(_)) => {
                let why = "binary frame; the JSON subprotocols have only text frames";
                self.cut(sender, CloseCode::UNSUPPORTED_DATA, why);
            }
            (Language::Simple(SimpleMode::SendEvent), message) => {
                let event = ("message", Payload::from_message(&message));
                self.event(connection, session, event, ReplyTo::Simple)
                    .await;
            }
            (Language::Simple(SimpleMode::SendToGroup(target)), message) => {
                let payload = Payload::from_message(&message);
                let TargetGroup { group, no_echo } = &**target;
                let sent = sender.send_to_group(group, *no_echo, &payload, None);
                // Without acks, nothing else says that the message went nowhere.
                if let Err(error) = sent {
                    self.cut(sender, CloseCode::POLICY_VIOLATION, &error.message);
                }
            }
        }
    }

    async fn on_disconnect(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        reason: CloseReason,
    ) {
        METRICS.client_left(client.hub.name().as_str(), WIRE, client.kind(connection));
        connection_log::ended(connection, WIRE, &reason);
        cuts::closed(&client.hub, connection, &reason);
        if let Some(data) = &client.data {
            members::ended(data);
        }
        let session = &mut client.session;
        self.events.disconnected(connection, session, reason);
    }

    /// Refuses a message that is too much: the client learns of it where it waits for an answer.
    async fn on_excess(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        message: &Message,
    ) -> ExcessVerdict {
        if let (Language::Json, Message::Text(text)) = (&client.language, message)
            && let Some(refusal) = ClientFrame::parse(text).ok().and_then(refusal_of)
        {
            connection.emit(refusal);
        }
        self.refused(connection, TOO_MANY, TOO_MUCH);
        ExcessVerdict::Drop
    }

    async fn on_request(
        &self,
        connection: &Connection,
        request: Bytes,
    ) -> Result<Bytes, RequestError> {
        if inspection::is_inspection(&request) {
            return Ok(self.inspector.describe(connection));
        }
        let changed = |to: &Connection, change, of: &str| self.group_changed(to, change, of);
        operations::client::answer(&self.cluster, connection, &request, &changed).await
    }

    async fn on_node_request(&self, request: Bytes) -> Result<Bytes, RequestError> {
        if inspection::is_inspection(&request) {
            return self.inspector.answer(&request).await;
        }
        if let Some(answer) = self.inspector.hubs().notices().answer(&request) {
            return answer;
        }
        let changed = |to: &Connection, change, of: &str| self.group_changed(to, change, of);
        operations::node::answer(&self.cluster, &request, &changed).await
    }
}

impl<E: Events> WebPubSub<E> {
    pub(crate) fn new(events: E, inspector: Arc<Inspector>) -> Self {
        Self {
            cluster: inspector.cluster().clone(),
            events: Dispatcher::new(events, inspector.follows().clone()),
            inspector,
        }
    }

    /// Asks the event handler whether a client may connect; `None` if it does not want to be asked.
    pub(super) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Option<Result<Admission<E::Memory>, ConnectError>> {
        self.events.connect(request).await
    }

    /// Waits until the events of connections that have ended are handled, and returns how many connections
    /// have some left after `timeout`.
    pub(crate) async fn drain_events(&self, timeout: Duration) -> usize {
        self.events.drain(timeout).await
    }

    /// A backend has changed the groups of a client.
    fn group_changed(&self, connection: &Connection, change: GroupChange, group: &str) {
        let hub = self.inspector.hub(connection.namespace());
        members::settle(members::update(hub.as_ref(), connection, group));
        self.events.group_changed(connection, change, group);
    }

    async fn incoming(
        &self,
        sender: Sender<'_>,
        session: &mut SessionSlot<E::Memory>,
        incoming: ClientFrame<'_>,
    ) {
        let connection = sender.connection;
        match incoming {
            ClientFrame::Request { ack_id, operation } => {
                self.request(sender, session, ack_id, operation).await;
            }
            ClientFrame::Event {
                ack_id,
                name,
                payload,
            } => {
                let reply_to = ReplyTo::Ack(ack_id);
                self.event(connection, session, (&name, payload), reply_to)
                    .await;
            }
            ClientFrame::Invoke { id, event } => match event {
                Ok((name, payload)) => {
                    let reply_to = ReplyTo::Invocation(id);
                    self.event(connection, session, (&name, payload), reply_to)
                        .await;
                }
                Err(why) => {
                    let failed = outgoing::invoke_failed(&id, "BadRequest", &why);
                    connection.emit(failed);
                }
            },
            ClientFrame::Ping => drop(connection.emit(outgoing::pong())),
            ClientFrame::Stream(id) => drop(connection.emit(outgoing::stream_unsupported(&id))),
            ClientFrame::Ignored => {}
        }
    }

    /// Tells those who follow a client that what it asks for is not done.
    fn refused(&self, connection: &Connection, error: &str, message: &str) {
        let refused = || What::refused(error, message);
        self.inspector.follows().note(connection, refused);
    }

    /// Closes a client for a message that cannot be read, or that nothing else could refuse.
    fn cut(&self, sender: Sender<'_>, code: CloseCode, why: &str) {
        let Sender {
            connection, hub, ..
        } = sender;
        self.refused(connection, "BadRequest", why);
        cuts::close(hub, connection, WIRE, CloseFrame::new(code, why));
    }

    /// Hands an event to the event handler.
    async fn event(
        &self,
        connection: &Connection,
        session: &mut SessionSlot<E::Memory>,
        (name, payload): (&str, Payload),
        reply_to: ReplyTo,
    ) {
        let name = name.to_owned();
        let event = UserEvent { name, payload };
        let events = &self.events;
        events
            .user_event(connection, session, event, reply_to)
            .await;
    }

    /// Carries out an operation, at most once per ack id, and acknowledges it.
    async fn request(
        &self,
        sender: Sender<'_>,
        session: &mut SessionSlot<E::Memory>,
        ack_id: Option<u64>,
        operation: Operation<'_>,
    ) {
        let connection = sender.connection;
        if let Some(id) = ack_id.filter(|id| session.is_acked(*id)) {
            connection.emit(outgoing::duplicate_ack(id));
            return;
        }
        let outcome = self.apply(sender, session, operation).await;
        if let Err(error) = &outcome {
            self.refused(connection, error.name, &error.message);
        }
        // Without an ack id, failure is silent.
        let Some(id) = ack_id else { return };
        connection.emit(match outcome {
            Ok(()) => {
                session.insert_acked(id);
                outgoing::ack(id)
            }
            Err(error) => outgoing::failed_ack(id, error.name, &error.message),
        });
    }

    async fn apply(
        &self,
        sender: Sender<'_>,
        session: &mut SessionSlot<E::Memory>,
        operation: Operation<'_>,
    ) -> Result<(), OperationError> {
        let connection = sender.connection;
        match operation {
            Operation::JoinGroup { group } => {
                client::check(sender.data, Permission::JoinLeaveGroup, &group)?;
                if sender.join(&group).await? {
                    let group = group.into_owned();
                    let events = &self.events;
                    events
                        .group_event(connection, session, GroupChange::Joined, group)
                        .await;
                }
            }
            Operation::LeaveGroup { group } => {
                client::check(sender.data, Permission::JoinLeaveGroup, &group)?;
                if sender.leave(&group) {
                    let group = group.into_owned();
                    let events = &self.events;
                    events
                        .group_event(connection, session, GroupChange::Left, group)
                        .await;
                }
            }
            Operation::SendToGroup {
                group,
                no_echo,
                payload,
                metadata,
            } => sender.send_to_group(&group, no_echo, &payload, metadata.as_ref())?,
            Operation::Refused(why) => {
                return Err(OperationError {
                    name: "BadRequest",
                    message: why,
                });
            }
        }
        Ok(())
    }
}

/// The answer to a frame that is refused because the client, or others with it, send too much.
fn refusal_of(frame: ClientFrame<'_>) -> Option<Frame> {
    match frame {
        ClientFrame::Request { ack_id, .. } | ClientFrame::Event { ack_id, .. } => {
            Some(outgoing::failed_ack(ack_id?, TOO_MANY, TOO_MUCH))
        }
        ClientFrame::Invoke { id, .. } => Some(outgoing::invoke_failed(&id, TOO_MANY, TOO_MUCH)),
        ClientFrame::Ping => Some(outgoing::pong()),
        ClientFrame::Stream(id) => Some(outgoing::stream_unsupported(&id)),
        ClientFrame::Ignored => None,
    }
}
