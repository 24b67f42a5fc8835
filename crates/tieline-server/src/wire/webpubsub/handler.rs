//! What the server does with what clients send.

use tieline::{CloseCode, CloseFrame, CloseReason, Cluster, Connection, Handler, Message, Summary};

use super::{
    Event, EventError, Events,
    ack_ids::AckIds,
    incoming::{Incoming, Malformed},
    outgoing::{self, Payload},
};
use crate::app::user::{Kind, named, user_of};

/// The handler of Web PubSub clients.
#[derive(Debug)]
pub(crate) struct WebPubSub<E> {
    pub(crate) cluster: Cluster,
    pub(crate) events: E,
}

/// What is kept for each client.
#[derive(Debug)]
pub(crate) enum Client {
    /// It speaks `json.webpubsub.azure.v1`.
    Json(AckIds),
    /// It sends bare frames: events, or messages to a group where its URL asks for that.
    Simple(Option<Box<Publish>>),
}

/// Where a simple client's frames go.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(super) group: String,
    pub(super) no_echo: bool,
}

impl<E: Events> Handler for WebPubSub<E> {
    type State = Client;

    async fn on_connect(&self, connection: &Connection, _: &mut Client) {
        self.events.connected(connection).await;
    }

    async fn on_message(&self, connection: &Connection, client: &mut Client, message: Message) {
        match (client, message) {
            (Client::Json(acks), Message::Text(text)) => {
                self.json(connection, acks, &text).await;
            }
            (Client::Json(_), Message::Binary(_)) => {
                let why = "the subprotocol json.webpubsub.azure.v1 has text frames only";
                close(connection, CloseCode::UNSUPPORTED_DATA, why);
            }
            (Client::Simple(None), message) => self.simple(connection, &message).await,
            (Client::Simple(Some(to)), message) => {
                let payload = Payload::of_message(&message);
                send_to_group(&self.cluster, connection, &to.group, to.no_echo, &payload);
            }
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: &mut Client, reason: CloseReason) {
        self.events.disconnected(connection, &reason).await;
    }
}

impl<E: Events> WebPubSub<E> {
    async fn json(&self, connection: &Connection, acks: &mut AckIds, text: &str) {
        match Incoming::parse(text) {
            Ok(incoming) => self.incoming(connection, acks, incoming).await,
            Err(malformed) => reject(connection, &malformed),
        }
    }

    async fn incoming(&self, connection: &Connection, acks: &mut AckIds, incoming: Incoming<'_>) {
        match incoming {
            Incoming::JoinGroup { group, ack_id } => {
                with_ack(connection, acks, ack_id, async || {
                    self.join(connection, &group).await
                })
                .await;
            }
            Incoming::LeaveGroup { group, ack_id } => {
                with_ack(connection, acks, ack_id, async || {
                    connection.leave(&group);
                    Ok(())
                })
                .await;
            }
            Incoming::SendToGroup {
                group,
                ack_id,
                no_echo,
                payload,
            } => {
                with_ack(connection, acks, ack_id, async || {
                    send_to_group(&self.cluster, connection, &group, no_echo, &payload);
                    Ok(())
                })
                .await;
            }
            Incoming::Event {
                name,
                ack_id,
                payload,
            } => {
                with_ack(connection, acks, ack_id, async || {
                    self.event(connection, &name, payload).await
                })
                .await;
            }
            Incoming::Refused { ack_id, why } => {
                let refused = EventError {
                    name: "BadRequest",
                    message: why.into(),
                };
                with_ack(connection, acks, ack_id, async || Err(refused)).await;
            }
            Incoming::Ping => drop(connection.emit(outgoing::pong())),
            Incoming::Invoke(id) => drop(connection.emit(outgoing::no_invocation(&id))),
            Incoming::Stream(id) => drop(connection.emit(outgoing::no_stream(&id))),
            Incoming::Nothing => {}
        }
    }

    /// What any node sends to the group from the ack on reaches the client: the others are told before.
    async fn join(&self, connection: &Connection, group: &str) -> Result<(), EventError> {
        connection.join(group).map_err(|error| EventError {
            name: "BadRequest",
            message: error.to_string(),
        })?;
        if !self.cluster.synced().await {
            tracing::debug!(group, "a node does not know of a group's member yet");
        }
        Ok(())
    }

    async fn event(
        &self,
        connection: &Connection,
        name: &str,
        payload: Payload,
    ) -> Result<(), EventError> {
        if let Some(answer) = self
            .events
            .event(connection, Event { name, payload })
            .await?
        {
            connection.emit(answer.for_client(connection));
        }
        Ok(())
    }

    async fn simple(&self, connection: &Connection, message: &Message) {
        let payload = Payload::of_message(message);
        if let Err(error) = self.event(connection, "message", payload).await {
            close(connection, CloseCode::INTERNAL_ERROR, &error.message);
        }
    }
}

/// Does something once per ack id, and acknowledges it.
async fn with_ack(
    connection: &Connection,
    acks: &mut AckIds,
    ack_id: Option<u64>,
    act: impl AsyncFnOnce() -> Result<(), EventError>,
) {
    let Some(id) = ack_id else {
        // Without an ack id, failure is silent.
        let _ = act().await;
        return;
    };
    if acks.contains(id) {
        let message = "this ackId was used before, and succeeded";
        connection.emit(outgoing::failed_ack(id, "Duplicate", message));
        return;
    }
    let answer = match act().await {
        Ok(()) => {
            acks.insert(id);
            outgoing::ack(id)
        }
        Err(error) => outgoing::failed_ack(id, error.name, &error.message),
    };
    connection.emit(answer);
}

/// Sends to a group on a client's behalf.
pub(crate) fn send_to_group(
    cluster: &Cluster,
    client: &Connection,
    group: &str,
    no_echo: bool,
    payload: &Payload,
) {
    let frame = payload.as_group_message(group, user_of(client));
    if no_echo {
        cluster.except([client.id()]).emit_group(group, frame);
    } else {
        cluster.emit_group(group, frame);
    }
}

/// Sends to all connections of a user, to each in the form that it reads: what became of it for each
/// kind of client.
pub(crate) async fn send_to_user(cluster: &Cluster, user: &str, payload: &Payload) -> [Summary; 2] {
    let json = cluster.emit_user(&named(Kind::Json, user), payload.as_server_message());
    let simple = cluster.emit_user(&named(Kind::Simple, user), payload.for_simple_client());
    [json.await, simple.await]
}

fn reject(connection: &Connection, malformed: &Malformed) {
    close(
        connection,
        CloseCode::INVALID_PAYLOAD,
        &malformed.to_string(),
    );
}

fn close(connection: &Connection, code: CloseCode, why: &str) {
    connection.close(CloseFrame::new(code, why));
}
