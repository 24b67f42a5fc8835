//! How connections enter the hub and leave it.
//!
//! Owns the count of connections, the limit, and the rule for duplicate ids. A connection is registered
//! before its upgrade is answered, so that a duplicate id can be refused and nothing sent meanwhile is
//! lost: frames wait in its outbox until the socket is attached. On a node of a cluster, it becomes
//! reachable later, by its `admission`.

use std::{hash::BuildHasher, sync::Arc};

use super::{
    core::Hub,
    handle::Connection,
    index::Inserted,
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
};
use crate::close::CloseReason;

/// A connection's place in the hub; dropping it ends the connection.
pub(crate) struct ConnectionGuard {
    connection: Connection,
}

/// Why a connection was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the client id is already connected")]
    Duplicate,
    #[error("the node has reached its connection limit")]
    Full,
}

impl Hub {
    /// Registers a connection, which is reachable at once.
    pub(crate) fn register(
        &self,
        info: ConnectionInfo,
        options: ConnectionOptions,
    ) -> Result<ConnectionGuard, RegisterError> {
        let guard = self.reserve(info, options)?;
        let conn = guard.connection.inner();
        let duplicate = self.config().duplicate;
        let inserted = self.shard(conn).index.lock().insert(conn, duplicate);
        match inserted {
            Inserted::Taken => return Err(RegisterError::Duplicate),
            Inserted::Replaced(older) => self.close_replaced(&older),
            Inserted::Fresh => {}
        }
        Ok(guard)
    }

    /// Counts a connection that is not in the index yet, within the limit.
    pub(super) fn reserve(
        &self,
        info: ConnectionInfo,
        options: ConnectionOptions,
    ) -> Result<ConnectionGuard, RegisterError> {
        let others = self.inner.connections.enter(&info.id);
        // A client that replaces its own connection is let in: soon there is one less.
        if others >= self.inner.capacity && self.find_open(info.id.key()).is_none() {
            self.inner.connections.leave(&info.id);
            return Err(RegisterError::Full);
        }
        let shard = self.shard_of(self.inner.hasher.hash_one(info.id.key()));
        let context = Arc::clone(&self.inner.context);
        let conn = Arc::new(ConnectionInner::new(info, options, shard, context));
        Ok(ConnectionGuard {
            connection: self.handle(conn),
        })
    }

    /// Closes a connection whose id a newer one has taken.
    pub(super) fn close_replaced(&self, older: &Arc<ConnectionInner>) {
        if self.count() > self.inner.capacity {
            // A full node does not wait for a close handshake.
            older.close(CloseReason::Replaced);
            older.abort(CloseReason::Replaced);
        } else {
            self.close_connection(older, CloseReason::Replaced);
        }
    }
}

impl ConnectionGuard {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Removes the connection from the index, so that nothing more is sent to it and its id is free.
    pub(crate) fn unregister(&self) {
        let conn = self.connection.inner();
        self.connection.hub().shard(conn).index.lock().remove(conn);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let (hub, conn) = (self.connection.hub(), self.connection.inner());
        let mut index = hub.shard(conn).index.lock();
        if !index.remove(conn) {
            index.notify_left(conn);
        }
        drop(index);
        conn.end();
        hub.inner.connections.leave(&conn.id);
    }
}
