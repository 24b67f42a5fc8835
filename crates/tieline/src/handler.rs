//! The callbacks of the application.
//!
//! Owns the [`Handler`] trait and the errors that it receives. Knows no task and no socket.

use std::{error::Error, future::Future, sync::Arc};

use bytes::Bytes;
use tieline_websocket::{Chunk, CloseCode, CloseFrame, Message, ProtocolError};

use crate::{ask::RequestError, close::CloseReason, hub::Connection, inbound::ExcessVerdict};

/// The application's callbacks. Only [`Handler::on_message`] is required. Where they can fail, implement
/// [`TryHandler`](crate::TryHandler) instead.
///
/// All callbacks of a connection but `on_request` run in its task, one after the other: `on_connect` completes before the
/// first `on_message` or `on_chunk`, `on_disconnect` is the last and runs exactly once. While a callback runs, nothing
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
    /// upgrade. The task of the connection holds it: one word is free, and more makes each task larger, by steps
    /// of 128 bytes. Box a larger one if you hold many idle clients.
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

    /// A piece of a message has arrived. Called instead of `on_message` for connections that were accepted with
    /// [`Accept::streaming`](crate::Accept::streaming), and for no others.
    ///
    /// The pieces come in order, and one message after the other; the first and the last of each say so. A message that
    /// the client does not finish gets no last piece: `on_disconnect` is called instead. Nothing is read while the
    /// callback waits, so that a client which uploads faster than you store is slowed down.
    ///
    /// ```
    /// use tieline::{Chunk, CloseCode, CloseFrame, Connection, Handler, Message};
    ///
    /// const LONGEST: u64 = 10 << 30;
    ///
    /// /// Answers each message with the sum of its bytes.
    /// struct Checksums;
    ///
    /// impl Handler for Checksums {
    ///     /// The sum so far.
    ///     type State = u32;
    ///
    ///     async fn on_chunk(&self, client: &Connection, sum: &mut u32, chunk: Chunk) {
    ///         if chunk.offset() > LONGEST {
    ///             client.close(CloseFrame::new(CloseCode::MESSAGE_TOO_BIG, "10 GiB at most"));
    ///             return;
    ///         }
    ///         for byte in chunk.as_bytes() {
    ///             *sum = sum.wrapping_add((*byte).into());
    ///         }
    ///         if chunk.is_last() {
    ///             client.emit(std::mem::take(sum).to_string());
    ///         }
    ///     }
    ///
    ///     async fn on_message(&self, _: &Connection, _: &mut u32, _: Message) {}
    /// }
    /// ```
    ///
    /// Default: closes the connection with code 1011, because a handler without this callback cannot read such a
    /// client.
    fn on_chunk(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        chunk: Chunk,
    ) -> impl Future<Output = ()> + Send {
        let _ = (state, chunk);
        async { refuse_chunks(connection) }
    }

    /// The client has sent a message that is more than [`Config::inbound`](crate::Config::inbound) allows, and the
    /// policy is [`Excess::Ask`](crate::Excess): what happens to it? Default: the client is slowed down.
    fn on_excess(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: &Message,
    ) -> impl Future<Output = ExcessVerdict> + Send {
        let _ = (connection, state, message);
        async { ExcessVerdict::SlowDown }
    }

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

    /// Another part of the program, or of the cluster, asks about this client or wants something done on its node:
    /// [`Hub::ask`](crate::Hub::ask), [`Cluster::ask`](crate::Cluster). The reply goes back to it.
    ///
    /// Runs in a task of its own, beside the other callbacks of the connection and other requests; it may run before
    /// `on_connect` has completed, and end after `on_disconnect`. The state of the connection belongs to the
    /// connection's task, which may be in the middle of a callback, so that a request does not get it: keep what
    /// requests need where both reach it, such as a map by client id in the handler, or an `Arc` of which the state
    /// has a clone. At most [`Config::max_requests`](crate::Config::max_requests) run at once on a node.
    ///
    /// Connections that a [`Socket`](crate::Socket) serves are asked too: the handler of their node answers.
    ///
    /// At the deadline of the ask it is dropped at its next `await`. A panic is contained, and reported to the asker
    /// as [`AskError::Failed`](crate::AskError::Failed). Return a [`RequestError`] to refuse. A drain waits for
    /// it.
    ///
    /// ```
    /// use std::{collections::HashMap, sync::Mutex};
    /// use tieline::{Bytes, ClientId, Connection, Handler, Message, RequestError};
    ///
    /// /// Remembers what each client last sent, and tells who asks.
    /// #[derive(Default)]
    /// struct Last(Mutex<HashMap<ClientId, Message>>);
    ///
    /// impl Handler for Last {
    ///     type State = ();
    ///
    ///     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
    ///         let mut last = self.0.lock().unwrap();
    ///         last.insert(connection.id().clone(), message);
    ///     }
    ///
    ///     async fn on_request(
    ///         &self,
    ///         connection: &Connection,
    ///         _: Bytes,
    ///     ) -> Result<Bytes, RequestError> {
    ///         let last = self.0.lock().unwrap();
    ///         let message = last.get(connection.id());
    ///         let message = message.ok_or_else(|| RequestError::refused("nothing sent yet"))?;
    ///         Ok(Bytes::copy_from_slice(message.as_bytes()))
    ///     }
    ///     # async fn on_disconnect(&self, connection: &Connection, _: &mut (), _: tieline::CloseReason) {
    ///     #     self.0.lock().unwrap().remove(connection.id());
    ///     # }
    /// }
    /// ```
    fn on_request(
        &self,
        connection: &Connection,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        let _ = (connection, request);
        async { Err(RequestError::unsupported()) }
    }

    /// An operator or another program asks this node something that is not about a client:
    /// [`Cluster::ask_node`](crate::Cluster), [`Cluster::ask_all`](crate::Cluster). As
    /// [`on_request`](Self::on_request), without a connection. Of several nodes that share a hub, the one that was
    /// made first answers.
    fn on_node_request(
        &self,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        let _ = request;
        async { Err(RequestError::unsupported()) }
    }
}

/// The default of `on_chunk`.
pub(crate) fn refuse_chunks(connection: &Connection) {
    tracing::error!(id = %connection.id(), "accepted with Accept::streaming, but the handler has no on_chunk");
    connection.close(CloseFrame::new(CloseCode::INTERNAL_ERROR, ""));
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
