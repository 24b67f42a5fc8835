//! The event handler: what the application does when clients connect, send events and disconnect.
//!
//! Owns the trait between a wire and an application, and the errors that operations report. Must not
//! know frames: a wire decodes the event before the call, and encodes the reply and the error after it.
//! Nor when an event is handled: the wire keeps the order of each connection's events.

use std::sync::Arc;

use tieline::{ClientId, CloseReason, Connection, StatusCode, UpgradeRequest};

use super::{about::Metadata, payload::Payload};
use crate::config::hub_name::HubName;

/// The application behind the wires.
pub(crate) trait Events: Send + Sync + 'static {
    /// What it keeps with a connection from one event to the next.
    type Memory: Default + Send + Sync + 'static;

    /// Whether events of this kind are handled in a hub. The others are not reported, and cost nothing.
    fn handles(&self, hub: &str, event: EventKind<'_>) -> bool;

    /// A client asks to connect. It gets no response before this ends.
    fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> impl Future<Output = Result<Admission<Self::Memory>, ConnectError>> + Send;

    /// A client is connected, and reachable from every node.
    fn connected(&self, client: EventClient<'_, Self::Memory>) -> impl Future<Output = ()> + Send;

    /// A client has sent an event. The reply, if any, reaches the client before the ack.
    fn user_event(
        &self,
        client: EventClient<'_, Self::Memory>,
        event: UserEvent,
    ) -> impl Future<Output = Result<Option<Reply>, OperationError>> + Send;

    /// A client has joined or left a group.
    fn group_event(
        &self,
        client: EventClient<'_, Self::Memory>,
        event: GroupEvent,
    ) -> impl Future<Output = ()> + Send;

    /// A client is gone. The last event of its connection.
    fn disconnected(
        &self,
        client: EventClient<'_, Self::Memory>,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send;
}

/// What happened, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind<'a> {
    Connect,
    Connected,
    Disconnected,
    /// An event of this name.
    User(&'a str),
    /// A change of who is in this group.
    Group(GroupChange, &'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupChange {
    Joined,
    Left,
}

/// The client that an event is about. Its hub is the namespace of the connection.
#[derive(Debug)]
pub(crate) struct EventClient<'a, M> {
    pub(crate) connection: &'a Connection,
    pub(crate) memory: &'a M,
}

/// A client that asks to connect.
#[derive(Clone, Copy)]
pub(crate) struct ConnectRequest<'a> {
    /// The hub that it connects to.
    pub(crate) hub: &'a HubName,
    /// The id that its connection will have.
    pub(crate) id: &'a ClientId,
    pub(crate) user: Option<&'a str>,
    /// The token that it was admitted by.
    pub(crate) token: Option<&'a str>,
    pub(crate) upgrade: &'a UpgradeRequest,
}

/// A client that may connect, and as whom.
#[derive(Debug)]
pub(crate) struct Admission<M> {
    /// The user from now on; `None` for an anonymous client.
    pub(crate) user: Option<Arc<str>>,
    /// If there are any, they replace those of its token.
    pub(crate) groups: Vec<Arc<str>>,
    /// Replace those that it has.
    pub(crate) roles: Option<Vec<String>>,
    /// One of those that the client offers, in its spelling.
    pub(crate) subprotocol: Option<String>,
    pub(crate) memory: M,
}

impl<M: Default> Admission<M> {
    /// The client as it asks to connect.
    pub(crate) fn unchanged(request: &ConnectRequest<'_>) -> Self {
        Self {
            user: request.user.map(Arc::from),
            groups: Vec::new(),
            roles: None,
            subprotocol: None,
            memory: M::default(),
        }
    }
}

/// Why a client may not connect: the response to its upgrade.
#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// An event from a client.
#[derive(Debug)]
pub(crate) struct UserEvent {
    pub(crate) name: String,
    pub(crate) payload: Payload,
}

/// The reply to an event.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) payload: Payload,
    pub(crate) metadata: Option<Metadata>,
}

impl From<Payload> for Reply {
    fn from(payload: Payload) -> Self {
        Self {
            payload,
            metadata: None,
        }
    }
}

/// A client has joined or left a group.
#[derive(Debug)]
pub(crate) struct GroupEvent {
    pub(crate) change: GroupChange,
    pub(crate) group: String,
}

/// Why an operation failed. Wires report name and message to the client.
#[derive(Debug, Clone)]
pub(crate) struct OperationError {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl OperationError {
    /// An event that no event handler wants: every event fails, as in the hosted service without one.
    pub(crate) fn no_event_handler() -> Self {
        Self {
            name: "InternalServerError",
            message: "no event handler is configured for this event; publish to a group instead"
                .into(),
        }
    }
}
