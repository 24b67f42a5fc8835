//! Carries out what clients send, through the operations of `app`.
//!
//! Owns which operation a frame leads to, its ack, and the close codes for violations of the protocol.
//! Must not know the syntax of frames, which is that of `incoming` and `outgoing`. Invariants: an
//! operation ends before its ack is sent, and one that succeeded is not repeated while its ack id is
//! remembered.

use tieline::{CloseCode, CloseFrame, CloseReason, Cluster, Connection, Handler, Message};

use super::{
    ack_ids::AckIds,
    client::{self, Client, Mode, SimpleMode, TargetGroup},
    incoming::{ClientFrame, Operation},
    outgoing,
};
use crate::app::{
    events::{Events, OperationError, UserEvent},
    payload::Payload,
    role::{Permission, Roles},
    send::send_to_group,
};

/// The handler of Web PubSub clients.
#[derive(Debug)]
pub(crate) struct WebPubSub<E> {
    cluster: Cluster,
    events: E,
}

impl<E: Events> Handler for WebPubSub<E> {
    type State = Client;

    async fn on_connect(&self, connection: &Connection, _: &mut Client) {
        self.events.connected(connection).await;
    }

    async fn on_message(&self, connection: &Connection, client: &mut Client, message: Message) {
        let roles = &*client.roles;
        match (&mut client.mode, message) {
            (Mode::Json(acked), Message::Text(text)) => match ClientFrame::parse(&text) {
                Ok(incoming) => self.incoming(connection, roles, acked, incoming).await,
                Err(error) => close(connection, CloseCode::INVALID_PAYLOAD, &error.to_string()),
            },
            (Mode::Json(_), Message::Binary(_)) => {
                let why = "binary frame; json.webpubsub.azure.v1 has only text frames";
                close(connection, CloseCode::UNSUPPORTED_DATA, why);
            }
            (Mode::Simple(SimpleMode::SendEvent), message) => {
                self.message_event(connection, &message).await;
            }
            (Mode::Simple(SimpleMode::SendToGroup(target)), message) => {
                let payload = Payload::from_message(&message);
                let TargetGroup { group, no_echo } = &**target;
                let sent = self.send_to_group(connection, roles, group, *no_echo, &payload);
                // Without acks, nothing else says that the message went nowhere.
                if let Err(error) = sent {
                    close(connection, CloseCode::POLICY_VIOLATION, &error.message);
                }
            }
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: &mut Client, reason: CloseReason) {
        self.events.disconnected(connection, &reason).await;
    }
}

impl<E: Events> WebPubSub<E> {
    pub(crate) fn new(cluster: Cluster, events: E) -> Self {
        Self { cluster, events }
    }

    async fn incoming(
        &self,
        connection: &Connection,
        roles: &Roles,
        acked: &mut AckIds,
        incoming: ClientFrame<'_>,
    ) {
        match incoming {
            ClientFrame::Request { ack_id, operation } => {
                let operation = self.apply(connection, roles, operation);
                with_ack(connection, acked, ack_id, operation).await;
            }
            ClientFrame::Ping => drop(connection.emit(outgoing::pong())),
            ClientFrame::Invoke(id) => drop(connection.emit(outgoing::invoke_unsupported(&id))),
            ClientFrame::Stream(id) => drop(connection.emit(outgoing::stream_unsupported(&id))),
            ClientFrame::Ignored => {}
        }
    }

    async fn apply(
        &self,
        connection: &Connection,
        roles: &Roles,
        operation: Operation<'_>,
    ) -> Result<(), OperationError> {
        match operation {
            Operation::JoinGroup { group } => {
                client::check(roles, Permission::JoinLeaveGroup, &group)?;
                self.join(connection, &group).await
            }
            Operation::LeaveGroup { group } => {
                client::check(roles, Permission::JoinLeaveGroup, &group)?;
                connection.leave(&group);
                Ok(())
            }
            Operation::SendToGroup {
                group,
                no_echo,
                payload,
            } => self.send_to_group(connection, roles, &group, no_echo, &payload),
            Operation::Event { name, payload } => self.event(connection, &name, payload).await,
            Operation::Refused(why) => Err(OperationError {
                name: "BadRequest",
                message: why,
            }),
        }
    }

    /// Joins once all nodes know, so that whatever any node sends to the group after the ack arrives.
    async fn join(&self, connection: &Connection, group: &str) -> Result<(), OperationError> {
        connection.join(group).map_err(|error| OperationError {
            name: "BadRequest",
            message: error.to_string(),
        })?;
        if !self.cluster.synced().await {
            tracing::debug!(group, "acknowledging a join before every node knows of it");
        }
        Ok(())
    }

    fn send_to_group(
        &self,
        sender: &Connection,
        roles: &Roles,
        group: &str,
        no_echo: bool,
        payload: &Payload,
    ) -> Result<(), OperationError> {
        client::check(roles, Permission::SendToGroup, group)?;
        send_to_group(&self.cluster, sender, group, no_echo, payload);
        Ok(())
    }

    /// Calls the event handler and sends its reply.
    async fn event(
        &self,
        connection: &Connection,
        name: &str,
        payload: Payload,
    ) -> Result<(), OperationError> {
        let event = UserEvent { name, payload };
        if let Some(reply) = self.events.event(connection, event).await? {
            connection.emit(reply.to_note());
        }
        Ok(())
    }

    /// A simple client has no acks: a failed event closes its connection.
    async fn message_event(&self, connection: &Connection, message: &Message) {
        let payload = Payload::from_message(message);
        if let Err(error) = self.event(connection, "message", payload).await {
            close(connection, CloseCode::INTERNAL_ERROR, &error.message);
        }
    }
}

/// Runs an operation at most once per ack id, and acknowledges it.
async fn with_ack(
    connection: &Connection,
    acked: &mut AckIds,
    ack_id: Option<u64>,
    operation: impl Future<Output = Result<(), OperationError>>,
) {
    let Some(id) = ack_id else {
        // Without an ack id, failure is silent.
        let _ = operation.await;
        return;
    };
    if acked.contains(id) {
        let message = "an operation with this ackId has already succeeded";
        connection.emit(outgoing::failed_ack(id, "Duplicate", message));
        return;
    }
    let ack = match operation.await {
        Ok(()) => {
            acked.insert(id);
            outgoing::ack(id)
        }
        Err(error) => outgoing::failed_ack(id, error.name, &error.message),
    };
    connection.emit(ack);
}

fn close(connection: &Connection, code: CloseCode, why: &str) {
    connection.close(CloseFrame::new(code, why));
}
