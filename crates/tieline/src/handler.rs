//! What the application does with its connections.

use std::future::Future;

use tieline_websocket::{Message, ProtocolError};

use crate::{CloseReason, Connection};

/// The application's callbacks. Only [`Handler::on_message`] must be written.
///
/// All callbacks of one connection run in its task, one after the other: `on_connect` completes before
/// the first `on_message`, `on_disconnect` is the last and runs exactly once. While one runs, nothing
/// more is read from that client: a slow handler holds back its own client and nobody else. When the
/// connection closes, a running callback has [`Config::close_timeout`](crate::Config::close_timeout)
/// to end, then it is dropped at its next `await`. A panic closes that connection with 1011, after
/// `on_error`. When the runtime itself ends, connections end with it, without `on_disconnect`: drain
/// first.
///
/// What a callback emits leaves when it first waits for something, or when all messages that were
/// read together are handled: many small answers cost one system call.
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
pub trait Handler: Send + Sync + 'static {
    /// What the application keeps for each connection; it is given at the upgrade with
    /// [`Accept::new`](crate::Accept::new).
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

    /// A complete message came.
    fn on_message(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: Message,
    ) -> impl Future<Output = ()> + Send;

    /// Something went wrong; the connection closes.
    fn on_error(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        error: ConnectionError,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state, error);
        async {}
    }

    /// The connection has ended; it is not in the hub any more.
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

/// What [`Handler::on_error`] is told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The client broke the protocol or a limit.
    #[error("the client broke the protocol: {0}")]
    Protocol(ProtocolError),
    /// The TCP connection failed.
    #[error("the connection failed: {0}")]
    Io(std::io::ErrorKind),
    /// A callback panicked; the panic itself has been reported by the panic hook.
    #[error("the handler panicked")]
    Panic,
}
