//! The application's end of a socket.
//!
//! Owns the one frame that waits for room. Must not know who fills the inbox.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
};

use futures_core::Stream;
use futures_sink::Sink;
use tieline_websocket::{CloseCode, CloseFrame, Frame, Message};

use super::inbox::Inbox;
use crate::{
    close::CloseReason,
    handler::ConnectionError,
    hub::{Connection, Content, SendError},
};

/// A connection as a value that a task of its own receives from and sends to, for code that is written as a
/// loop: made by [`Upgrade::on_socket`](crate::Upgrade::on_socket).
///
/// It is a `Stream` of messages and a `Sink` of frames, so it can be split and combined with the tools of the
/// `futures` crates. To everybody else it is a [`Connection`] like any other: reached by its id, its user and
/// its groups, bounded by the same limits.
///
/// ```
/// use tieline::{Frame, Socket};
///
/// async fn echo(mut socket: Socket) {
///     while let Some(Ok(message)) = socket.recv().await {
///         if socket.send(message).await.is_err() {
///             break;
///         }
///     }
/// }
/// ```
///
/// What the client sends waits for [`recv`](Self::recv): up to 64 messages or 64 KiB, then the client is not
/// read from until half of that is taken. Dropping the socket closes the connection, with code 1000, or 1011
/// if the task panics; what waits for the client still leaves.
///
/// Compared with a [`Handler`](crate::Handler), a socket costs a second task, and two wake-ups for each read.
pub struct Socket {
    connection: Connection,
    inbox: Arc<Inbox>,
    /// What the sink was given last, until it is in the outbox.
    sending: Option<Pin<Box<Sending>>>,
}

type Sending = dyn Future<Output = Result<(), SendError>> + Send + Sync;

impl Socket {
    pub(super) fn new(connection: Connection, inbox: Arc<Inbox>) -> Self {
        Self {
            connection,
            inbox,
            sending: None,
        }
    }

    /// The connection: its id, user and groups, and the hub. Clones of it may outlive the socket.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The next message of the client, or what went wrong; `None` once the connection has ended. After an error
    /// only the end follows. [`Connection::closed`] has the reason. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Result<Message, ConnectionError>> {
        poll_fn(|cx| self.inbox.poll_recv(cx)).await
    }

    /// Sends a frame or a note when there is room, as [`Connection::send`]. Frames leave when the task next waits.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first, and [`SendError::Refused`] if a note is not for the
    /// client's dialect.
    pub async fn send(&mut self, content: impl Into<Content>) -> Result<(), SendError> {
        let content = content.into();
        poll_fn(|cx| self.poll_sending(cx)).await?;
        self.connection.send(content).await
    }

    /// Begins the close handshake, as [`Connection::close`], and waits until the connection has ended. Messages
    /// that the client sent before it noticed are not received any more. Returns why the connection closed:
    /// the first reason stays.
    pub async fn close(&mut self, frame: CloseFrame) -> CloseReason {
        self.connection.close(frame);
        poll_fn(|cx| self.inbox.poll_ended(cx)).await;
        self.connection.closed().await
    }

    /// Waits until what the sink was given is in the outbox.
    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(Ok(()));
        };
        let sent = ready!(sending.as_mut().poll(cx));
        self.sending = None;
        Poll::Ready(sent)
    }
}

/// As [`Socket::recv`].
impl Stream for Socket {
    type Item = Result<Message, ConnectionError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_recv(cx)
    }
}

/// Takes one frame at a time, as [`Socket::send`] does: the next one when the last is in the outbox. Closing it
/// closes the connection with code 1000, and waits until it has ended.
///
/// Frames leave on their own: when the task next waits, and when the client takes more. A flush writes what
/// the client takes now, and does not wait for the rest, which is at most half an outbox. Each frame costs an
/// allocation that [`Socket::send`] does not need.
impl Sink<Frame> for Socket {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_sending(cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), SendError> {
        let socket = self.get_mut();
        let connection = socket.connection.clone();
        socket.sending = Some(Box::pin(async move { connection.send(frame).await }));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let socket = self.get_mut();
        ready!(socket.poll_sending(cx))?;
        socket.connection.inner().flush();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let socket = self.get_mut();
        // If the connection is closed, it is as it was to be.
        let _ = ready!(socket.poll_sending(cx));
        socket.connection.close(normal());
        socket.inbox.poll_ended(cx).map(Ok)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.inbox.abandon();
        if thread::panicking() {
            self.connection.inner().close(CloseReason::Panic);
        } else {
            self.connection.close(normal());
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn normal() -> CloseFrame {
    CloseFrame::new(CloseCode::NORMAL, "")
}
