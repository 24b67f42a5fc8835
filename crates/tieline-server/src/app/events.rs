//! The event handler: what the application does when clients connect, send events and disconnect.
//!
//! Owns the trait between a wire and an application, and the error that every operation reports. Must
//! not know frames: a wire decodes the event before the call, and encodes the reply and the error after
//! it.

use tieline::{CloseReason, Connection};

use super::payload::Payload;

/// The application behind the wires.
pub(crate) trait Events: Send + Sync + 'static {
    /// A client connected.
    fn connected(&self, client: &Connection) -> impl Future<Output = ()> + Send;

    /// A client sent an event. The reply, if any, reaches the client before the ack.
    fn event(
        &self,
        client: &Connection,
        event: UserEvent<'_>,
    ) -> impl Future<Output = Result<Option<Payload>, OperationError>> + Send;

    /// A client disconnected.
    fn disconnected(
        &self,
        client: &Connection,
        reason: &CloseReason,
    ) -> impl Future<Output = ()> + Send;
}

/// An event from a client.
#[derive(Debug)]
pub(crate) struct UserEvent<'a> {
    pub(crate) name: &'a str,
    pub(crate) payload: Payload,
}

/// Why an operation failed. Wires report name and message to the client.
#[derive(Debug, Clone)]
pub(crate) struct OperationError {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

/// No event handler: every event fails, as in the hosted service without one.
#[derive(Debug)]
pub(crate) struct NoEvents;

impl Events for NoEvents {
    async fn connected(&self, _: &Connection) {}

    async fn event(
        &self,
        _: &Connection,
        _: UserEvent<'_>,
    ) -> Result<Option<Payload>, OperationError> {
        Err(OperationError {
            name: "InternalServerError",
            message: "no event handler is configured; publish to a group instead".into(),
        })
    }

    async fn disconnected(&self, _: &Connection, _: &CloseReason) {}
}
