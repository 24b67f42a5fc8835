//! The application's handle of a connection.
//!
//! Owns nothing: it refers to a connection and its hub, and outlives the socket.

use std::{fmt, net::SocketAddr, sync::Arc};

use tieline_registry::{ClientId, NameError, id};
use tieline_websocket::CloseFrame;

use super::{content::Content, core::Hub, inner::ConnectionInner};
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
    pub(crate) fn new(hub: Hub, inner: Arc<ConnectionInner>) -> Self {
        Self { hub, inner }
    }

    pub(crate) fn inner(&self) -> &Arc<ConnectionInner> {
        &self.inner
    }

    /// The client id: the one that [`Accept::id`](crate::Accept::id) set, or a random one.
    pub fn id(&self) -> &ClientId {
        &self.inner.id
    }

    /// The user that [`Accept::user`](crate::Accept::user) set.
    pub fn user(&self) -> Option<&str> {
        self.inner.user.as_deref()
    }

    /// The subprotocol that was agreed on at the upgrade.
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol.as_deref()
    }

    /// The address of the client or, behind a proxy, of the proxy. `None` if the HTTP server does not provide
    /// it.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr
    }

    /// The groups it is in, in no particular order. After its end: those it was in at the end.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.inner.groups.lock().names().to_vec()
    }

    /// The hub that holds it.
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

    /// Joins a group; false if it is a member already. A group exists as long as it has members.
    ///
    /// # Errors
    /// If the name is empty or longer than [`MAX_NAME`](crate::MAX_NAME) bytes, if the connection is in
    /// [`Config::groups_per_connection`](crate::Config::groups_per_connection) groups, or if it has ended.
    pub fn join(&self, group: &str) -> Result<bool, JoinError> {
        id::check(group)?;
        let limit = self.hub.config().groups_per_connection;
        let mut index = self.hub.shard(&self.inner).index.lock();
        if !index.contains(&self.inner) {
            return Err(JoinError::Closed);
        }
        index
            .join_within(&self.inner, group.into(), limit)
            .ok_or(JoinError::TooMany(limit))
    }

    /// Leaves a group; false if it is not a member.
    pub fn leave(&self, group: &str) -> bool {
        let mut index = self.hub.shard(&self.inner).index.lock();
        index.contains(&self.inner) && index.leave(&self.inner, group)
    }

    /// Begins the close handshake. What was sent before still leaves, within
    /// [`Config::close_timeout`](crate::Config::close_timeout). Further calls change nothing.
    pub fn close(&self, frame: CloseFrame) {
        let reason = CloseReason::Application(frame);
        self.hub.close_connection(&self.inner, reason);
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
    /// The group's name is empty or too long.
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
