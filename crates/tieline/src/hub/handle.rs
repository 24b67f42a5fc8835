//! The application's handle of a connection.

use std::{fmt, net::SocketAddr, sync::Arc};

use tieline_registry::{ClientId, NameError, id};
use tieline_websocket::{CloseFrame, Frame};

use super::{Hub, inner::ConnectionInner};
use crate::{CloseReason, Receipt};

/// One accepted WebSocket. Cheap to clone; it may outlive the socket, and then answers `Offline`.
///
/// Two handles are equal when they are of the same accepted WebSocket: a later connection with the
/// same id is another one.
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

    /// The application's name for this connection.
    pub fn id(&self) -> &ClientId {
        &self.inner.id
    }

    /// The user, if the application named one at the upgrade.
    pub fn user(&self) -> Option<&str> {
        self.inner.user.as_deref()
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol.as_deref()
    }

    /// The peer's address; behind a proxy, the proxy's. `None` where the HTTP server does not tell.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr
    }

    /// The groups it is in, in no order; after its end, those it was in then.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.inner.groups.lock().names().to_vec()
    }

    /// The hub that holds it.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether it is open: not closed and not closing.
    pub fn is_open(&self) -> bool {
        !self.inner.is_close_requested()
    }

    /// Sends to this client.
    pub fn emit(&self, frame: impl Into<Frame>) -> Receipt {
        self.hub.emit_to(&self.inner, frame.into())
    }

    /// Joins a group; false if it was in it already. The group is there as long as someone is in it.
    pub fn join(&self, group: &str) -> Result<bool, JoinError> {
        id::check(group)?;
        let limit = self.hub.config().groups_per_connection;
        let mut index = self.hub.shard(&self.inner).index.lock();
        if !index.holds(&self.inner) {
            return Err(JoinError::Closed);
        }
        let groups = self.inner.groups.lock();
        if groups.names().len() >= limit && !groups.contains(group) {
            return Err(JoinError::TooMany(limit));
        }
        drop(groups);
        Ok(index.join(&self.inner, group.into()))
    }

    /// Leaves a group; false if it was not in it.
    pub fn leave(&self, group: &str) -> bool {
        let mut index = self.hub.shard(&self.inner).index.lock();
        index.holds(&self.inner) && index.leave(&self.inner, group)
    }

    /// Begins the close handshake. What was sent before still leaves; a second call changes nothing.
    pub fn close(&self, frame: CloseFrame) {
        let reason = CloseReason::Application(frame);
        self.hub.close_member(&self.inner, reason);
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

/// A join that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group's name is empty or too long.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The connection is in as many groups as one may be in
    /// ([`Config::groups_per_connection`](crate::Config::groups_per_connection)).
    #[error("the connection is in {0} groups already, the limit")]
    TooMany(usize),
    /// The connection has ended.
    #[error("the connection is closed")]
    Closed,
}
