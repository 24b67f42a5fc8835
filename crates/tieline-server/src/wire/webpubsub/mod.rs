//! The client side of the Web PubSub wire.
//!
//! Owns the subprotocol `json.webpubsub.azure.v1` and simple clients: what they send, what they are
//! sent, acknowledgements, the closing rules. Must not know what events mean: that is the [`Events`]
//! of whoever serves. Everything that is sent to many goes through the cluster, which is one node
//! where there is no registry. Invariants: every frame that asks for an ack gets exactly one; absent properties
//! are left out, never null; a client is sent only frame types that it knows.

mod ack_ids;
mod handler;
mod incoming;
mod outgoing;
mod upgrade;

use tieline::{CloseReason, Connection};

pub(crate) use self::{
    handler::{WebPubSub, send_to_group, send_to_user},
    outgoing::Payload,
    upgrade::{AnonymousAccess, Namespace, routes},
};

/// What becomes of the events that clients send.
pub(crate) trait Events: Send + Sync + 'static {
    /// A client is connected.
    fn connected(&self, client: &Connection) -> impl Future<Output = ()> + Send;

    /// A client sent an event; the answer, if any, goes to it before the ack.
    fn event(
        &self,
        client: &Connection,
        event: Event<'_>,
    ) -> impl Future<Output = Result<Option<Payload>, EventError>> + Send;

    /// A client is gone.
    fn disconnected(
        &self,
        client: &Connection,
        reason: &CloseReason,
    ) -> impl Future<Output = ()> + Send;
}

/// An event that a client sent; a simple client's frame is the event `message`.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) name: &'a str,
    pub(crate) payload: Payload,
}

/// Why an event failed; name and message go into the ack.
#[derive(Debug, Clone)]
pub(crate) struct EventError {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

/// No event handler: every event fails, as it does in a service without one.
#[derive(Debug)]
pub(crate) struct NoEvents;

impl Events for NoEvents {
    async fn connected(&self, _: &Connection) {}

    async fn event(&self, _: &Connection, _: Event<'_>) -> Result<Option<Payload>, EventError> {
        let message = "no event handler is configured; webpubsub_mode=sendToGroup&group=NAME publishes to a group".into();
        Err(EventError {
            name: "InternalServerError",
            message,
        })
    }

    async fn disconnected(&self, _: &Connection, _: &CloseReason) {}
}
