//! The application's handle of a connection.
//!
//! Owns nothing: it refers to a connection and its hub, and outlives the socket.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tieline_registry::{ClientId, NameError, id};
use tieline_websocket::{CloseFrame, FrameKind};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    close_wait::CloseWait, content::Content, core::Hub, inner::ConnectionInner,
    message_writer::MessageWriter, namespace, room::SendError,
};
use crate::{close::CloseReason, receipt::Receipt};

/// One accepted WebSocket. Cheap to clone. It may outlive the socket; `emit` then yields
/// [`Delivery::Offline`](crate::Delivery::Offline).
///
/// Two handles are equal if they refer to the same accepted WebSocket: a later connection with the same id
/// is a different one.
///
/// ```
/// use tieline::{Connection, JoinError};
///
/// /// Moves a client to another chat room, and announces it there.
/// fn move_to(connection: &Connection, room: &str) -> Result<(), JoinError> {
///     for old in connection.groups() {
///         connection.leave(&old);
///     }
///     connection.join(room)?;
///     let text = format!("{} is here", connection.user().unwrap_or("somebody"));
///     connection.hub().except([connection.id()]).emit_group(room, text);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Connection {
    hub: Hub,
    inner: Arc<ConnectionInner>,
}

impl Connection {
    /// `hub` is in the namespace of the connection.
    fn new(hub: Hub, inner: Arc<ConnectionInner>) -> Self {
        Self { hub, inner }
    }

    pub(crate) fn inner(&self) -> &Arc<ConnectionInner> {
        &self.inner
    }

    /// The client id: the one that [`Accept::id`](crate::Accept::id) set, or a random one.
    pub fn id(&self) -> &ClientId {
        &self.inner.id
    }

    /// The user that [`Accept::user`](crate::Accept::user) or [`set_user`](Self::set_user) set.
    pub fn user(&self) -> Option<&str> {
        let key = self.inner.user()?;
        Some(id::split(key).1)
    }

    /// The namespace that [`Accept::namespace`](crate::Accept::namespace) set; empty for the default one.
    pub fn namespace(&self) -> &str {
        self.inner.id.namespace()
    }

    /// The subprotocol that was agreed on at the upgrade.
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol.as_deref()
    }

    /// The address of the client or, behind a proxy that is [not believed](crate::Proxies), of the proxy. `None` if
    /// the HTTP server does not provide it, or a proxy that is believed does not say it.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr()
    }

    /// The groups it is in, in no particular order. After its end: those it was in at the end.
    pub fn groups(&self) -> Vec<Arc<str>> {
        let groups = self.inner.groups.lock();
        groups.names().iter().map(namespace::name).collect()
    }

    /// What [`Accept::data`](crate::Accept::data) gave, shared; `None` if it gave nothing, or a value of
    /// another type. Readable after the end too. Takes the lock that orders what the client receives, so it
    /// may wait for one write to its socket: keep the `Arc` where you need it often.
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.inner.data()?.downcast().ok()
    }

    /// The hub that holds it, in the [namespace](Self::namespace) of the connection.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether it is open, that is neither closed nor closing.
    pub fn is_open(&self) -> bool {
        !self.inner.is_close_requested()
    }

    /// Sends to this client.
    ///
    /// The frame is in the client's outbox when this returns, or in its shard's queue if broadcasts wait
    /// there; the order of the calls is kept either way.
    pub fn emit(&self, content: impl Into<Content>) -> Receipt {
        self.hub.emit_to(&self.inner, content.into().into_unicast())
    }

    /// Sends to this client once its outbox has room, however slowly the client reads: less than half of
    /// [`Config::outbox_bytes`](crate::Config::outbox_bytes) and of
    /// [`Config::outbox_frames`](crate::Config::outbox_frames), or of what the upgrade chose
    /// ([`Accept::outbox_bytes`](crate::Accept::outbox_bytes)), is in use. The other half remains for `emit`,
    /// which does not wait, so that a long stream of `send`s closes no client as a slow consumer. `Ok` means
    /// what [`Delivery::Delivered`](crate::Delivery::Delivered) does.
    ///
    /// Those who wait for one client are served in the order in which they began to wait; a future that is kept
    /// and not polled holds up nobody, nor does a message in pieces that waits for the end of another. What one task sends arrives in the order of its calls, if it awaits each
    /// `send` before the next call: an `emit` overtakes a `send` that waits. Cancel-safe: if the future is dropped before it is ready, the frame was not sent.
    ///
    /// A wait ends with the connection. A client that takes nothing is closed with
    /// [`CloseReason::SlowConsumer`] after [`Config::ping_interval`](crate::Config::ping_interval) and
    /// [`Config::ping_timeout`](crate::Config::ping_timeout), also while a callback waits here.
    ///
    /// ```
    /// use tieline::{Connection, Frame, SendError};
    ///
    /// /// Sends a log, of any length, with at most half an outbox of it in memory.
    /// async fn replay(
    ///     connection: &Connection,
    ///     log: impl Iterator<Item = Frame>,
    /// ) -> Result<(), SendError> {
    ///     for frame in log {
    ///         connection.send(frame).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first, and [`SendError::Refused`] if a note is not for the
    /// client's dialect.
    pub async fn send(&self, content: impl Into<Content>) -> Result<(), SendError> {
        let cast = content.into().into_unicast();
        self.hub.send_when_ready(&self.inner, cast).await
    }

    /// Begins a text message that is sent in pieces, for what is long or not known yet. It waits until the client's
    /// outbox has room and no other such message is being sent.
    ///
    /// Until the writer is finished, all else that is sent to this client waits in its outbox, within the bounds and
    /// under the policy of [`Config`](crate::Config); pings, pongs and a close frame leave. The application gives the
    /// next piece, or finishes, within [`Config::message_timeout`](crate::Config::message_timeout), or the connection
    /// closes with code 1011. A close of the connection cuts the message off. The message is not compressed.
    ///
    /// Costs a task of tokio and two small allocations, and two for each 64 KiB.
    ///
    /// ```
    /// use tieline::{Connection, SendError};
    ///
    /// /// Sends a table as one message, row by row.
    /// async fn export(
    ///     connection: &Connection,
    ///     rows: impl Iterator<Item = String>,
    /// ) -> Result<(), SendError> {
    ///     let mut message = connection.stream_text().await?;
    ///     for row in rows {
    ///         message.write(row + "\n").await?;
    ///     }
    ///     message.finish()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn stream_text(&self) -> Result<MessageWriter, SendError> {
        self.stream(FrameKind::Text).await
    }

    /// As [`stream_text`](Self::stream_text), for a binary message.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn stream_binary(&self) -> Result<MessageWriter, SendError> {
        self.stream(FrameKind::Binary).await
    }

    async fn stream(&self, kind: FrameKind) -> Result<MessageWriter, SendError> {
        // Panics before the message has begun: nobody would ever end it.
        let _runtime = Handle::current();
        self.hub.begin_message(&self.inner).await?;
        let watch = self.spawn(Arc::clone(&self.inner).watch_message());
        let conn = Arc::clone(&self.inner);
        Ok(MessageWriter::new(conn, kind, watch.abort_handle()))
    }

    /// Waits until less than half of this client's outbox is in use: before work that is worth doing only for a
    /// client that keeps up. It then takes a frame of up to half an outbox by `emit`, unless others fill it first;
    /// [`send`](Self::send) takes any. It shares the line of those who wait there. Cancel-safe.
    ///
    /// ```
    /// # use tieline::{Connection, SendError};
    /// /// Makes the next picture when the client has nearly received the last.
    /// async fn stream(
    ///     connection: &Connection,
    ///     mut next: impl FnMut() -> Vec<u8>,
    /// ) -> Result<(), SendError> {
    ///     loop {
    ///         connection.ready().await?;
    ///         connection.send(next()).await?;
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first.
    pub async fn ready(&self) -> Result<(), SendError> {
        self.hub.ready(&self.inner).await
    }

    /// Writes what waits for this client, as far as its socket takes it now, though the callback, the
    /// [`Cork`](crate::Cork) or the tick that holds it back goes on: for a frame that shall leave before a long
    /// computation begins. Over TLS the connection's task does it at its next turn. What a full socket leaves
    /// over leaves when there is room, as always.
    ///
    /// ```
    /// # use tieline::Connection;
    /// # fn compute() -> String { "42".into() }
    /// fn answer(connection: &Connection) {
    ///     connection.emit("computing");
    ///     connection.flush();
    ///     connection.emit(tokio::task::block_in_place(compute));
    /// }
    /// ```
    pub fn flush(&self) {
        self.inner.flush();
    }

    /// How many frames wait in this client's outbox, and how many bytes. What broadcasts have waiting in the
    /// shard's queue is not counted, nor what the kernel holds.
    pub fn queued(&self) -> (usize, usize) {
        self.inner.queued()
    }

    /// Joins a group; false if it is a member already. A group exists as long as it has members.
    ///
    /// # Errors
    /// If the name is empty, longer than [`MAX_NAME`](crate::MAX_NAME) bytes or begins with a NUL, if the connection is in
    /// [`Config::groups_per_connection`](crate::Config::groups_per_connection) groups, or if it has ended.
    pub fn join(&self, group: &str) -> Result<bool, JoinError> {
        id::check(group)?;
        let group = self.hub.names().key(group);
        self.hub.join(&self.inner, group.into())
    }

    /// Leaves a group; false if it is not a member.
    pub fn leave(&self, group: &str) -> bool {
        let group = self.hub.names().key(group);
        self.hub.leave(&self.inner, &group)
    }

    /// Waits until the connection begins to close, and returns why: from then on `emit` yields
    /// [`Delivery::Offline`](crate::Delivery::Offline). That is before
    /// [`Handler::on_disconnect`](crate::Handler::on_disconnect); what was sent before may still leave. While a
    /// callback waits, nothing is read, so a client that has left is noticed when the callback has ended or
    /// a write fails.
    ///
    /// Returns at once if it has begun. Cancel-safe.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tieline::Connection;
    /// /// How long a client stays.
    /// async fn watch(connection: Connection) -> Duration {
    ///     let since = tokio::time::Instant::now();
    ///     let reason = connection.closed().await;
    ///     println!("{} has left: {reason}", connection.id());
    ///     since.elapsed()
    /// }
    /// ```
    pub async fn closed(&self) -> CloseReason {
        CloseWait::new(&self.inner).over().await;
        let reason = self.inner.reason();
        reason.unwrap_or(CloseReason::Lost(io::ErrorKind::NotConnected))
    }

    /// Spawns a task that ends with the connection: once that begins to close, as for
    /// [`closed`](Self::closed), the future is dropped as soon as it waits. The handle then yields `None`.
    /// [`Node::drain`](crate::Node::drain) waits for the task, and counts it in
    /// [`Drained::remaining`](crate::Drained::remaining) if it does not end in time.
    ///
    /// Costs a task of tokio. It runs beside the callbacks, and may still be in its last poll during
    /// [`Handler::on_disconnect`](crate::Handler::on_disconnect).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tieline::Connection;
    /// /// Sends a number every second for as long as the client is there.
    /// fn count(connection: &Connection) {
    ///     let client = connection.clone();
    ///     connection.spawn(async move {
    ///         for seconds in 0.. {
    ///             client.emit(seconds.to_string());
    ///             tokio::time::sleep(Duration::from_secs(1)).await;
    ///         }
    ///     });
    /// }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let until_closing = CloseWait::new(&self.inner).or(future);
        self.hub.tasks().spawn(until_closing)
    }

    /// Begins the close handshake. What was sent before still leaves, within
    /// [`Config::close_timeout`](crate::Config::close_timeout). Further calls change nothing.
    pub fn close(&self, frame: CloseFrame) {
        let reason = CloseReason::Application(frame);
        self.hub.close_connection(&self.inner, reason);
    }
}

/// Connections by their keys.
impl Hub {
    pub(crate) fn handle(&self, conn: Arc<ConnectionInner>) -> Connection {
        Connection::new(self.of(&conn), conn)
    }

    /// Joins a connection to the group with this key.
    pub(crate) fn join(
        &self,
        conn: &Arc<ConnectionInner>,
        group: Arc<str>,
    ) -> Result<bool, JoinError> {
        namespace::check(&group)?;
        let limit = self.config().groups_per_connection;
        let mut index = self.shard(conn).index.lock();
        if !index.contains(conn) {
            return Err(JoinError::Closed);
        }
        index
            .join_within(conn, group, limit)
            .ok_or(JoinError::TooMany(limit))
    }

    /// Removes a connection from the group with this key.
    pub(crate) fn leave(&self, conn: &Arc<ConnectionInner>, group: &str) -> bool {
        let mut index = self.shard(conn).index.lock();
        index.contains(conn) && index.leave(conn, group)
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", self.id())
            .field("user", &self.user())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Why a connection could not join a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group's name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The connection is in as many groups as allowed
    /// ([`Config::groups_per_connection`](crate::Config::groups_per_connection)).
    #[error("the connection is already in {0} groups, the limit; leave one first")]
    TooMany(usize),
    /// The connection has ended.
    #[error("the connection is closed")]
    Closed,
}
