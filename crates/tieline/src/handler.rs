//! The callbacks of the application.
//!
//! Owns the [`Handler`] trait and the errors that it receives. Knows no task and no socket.

use std::{error::Error, future::Future, sync::Arc};

use tieline_websocket::{Message, ProtocolError};

use crate::{close::CloseReason, hub::Connection};

/// The application's callbacks. Only [`Handler::on_message`] is required. Where they can fail, implement
/// [`TryHandler`](crate::TryHandler) instead.
///
/// All callbacks of a connection run in its task, one after the other: `on_connect` completes before the
/// first `on_message`, `on_disconnect` is the last and runs exactly once. While a callback runs, nothing
/// more is read from that client: a slow handler delays its own client and no other. When the connection
/// closes, a running callback has [`Config::close_timeout`](crate::Config::close_timeout) to end; then it is
/// dropped at its next `await`. A panic closes that connection with code 1011, after `on_error`. If the
/// runtime shuts down, connections end without `on_disconnect`: call [`Node::drain`](crate::Node::drain)
/// first.
///
/// Frames that a callback sends leave when it first waits, or when all messages that were read together are
/// handled: many small replies cost one system call.
///
/// ```
/// use tieline::{Connection, Handler, Message};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///
///     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
///         connection.emit(message);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no callbacks",
    note = "implement `Handler`, or `TryHandler` if the callbacks return a `Result`"
)]
pub trait Handler: Send + Sync + 'static {
    /// The application's state of each connection; passed to [`Accept::new`](crate::Accept::new) at the
    /// upgrade.
    type State: Send + 'static;

    /// The connection is open.
    fn on_connect(
        &self,
        connection: &Connection,
        state: &mut Self::State,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state);
        async {}
    }

    /// The client has sent a complete message.
    fn on_message(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: Message,
    ) -> impl Future<Output = ()> + Send;

    /// Something failed; the connection closes.
    fn on_error(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        error: ConnectionError,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state, error);
        async {}
    }

    /// The connection has ended and is not in the hub any more.
    fn on_disconnect(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state, reason);
        async {}
    }
}

/// For a node whose connections are all sockets ([`Upgrade::on_socket`](crate::Upgrade::on_socket)): takes
/// messages and does nothing.
impl Handler for () {
    type State = ();

    async fn on_message(&self, _: &Connection, (): &mut (), _: Message) {}
}

/// What [`Handler::on_error`] receives.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The client violated the protocol or a limit.
    #[error("the client violated the protocol: {0}")]
    Protocol(ProtocolError),
    /// The TCP connection failed.
    #[error("the connection failed: {0}")]
    Io(std::io::ErrorKind),
    /// A callback panicked; the panic hook has reported the panic itself.
    #[error("the handler panicked")]
    Panic,
    /// A callback of a [`TryHandler`](crate::TryHandler) returned this error; `downcast_ref` finds its type.
    #[error("the handler failed: {0}")]
    Handler(#[source] Arc<dyn Error + Send + Sync>),
}

/// Errors of a handler are equal if they are the same one.
impl PartialEq for ConnectionError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Protocol(a), Self::Protocol(b)) => a == b,
            (Self::Io(a), Self::Io(b)) => a == b,
            (Self::Panic, Self::Panic) => true,
            (Self::Handler(a), Self::Handler(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}
