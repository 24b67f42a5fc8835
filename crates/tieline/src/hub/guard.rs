//! How connections come into the hub and leave it.
//!
//! Owns the count of sockets and the rule for duplicate ids. A connection is admitted before its
//! upgrade is answered, so that an id is refused in time and nothing sent to it meanwhile is lost;
//! frames wait in its outbox until the socket is attached.

use std::{
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering},
};

use super::{Connection, ConnectionInfo, ConnectionInner, ConnectionOptions, Hub, index::Inserted};
use crate::CloseReason;

/// A connection's place in the hub; dropping it ends it.
pub(crate) struct ConnectionGuard {
    connection: Connection,
}

/// A connection that was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the client id is connected already")]
    Duplicate,
    #[error("the node holds as many connections as it may")]
    Full,
}

impl Hub {
    /// Admits a connection under its names.
    pub(crate) fn register(
        &self,
        info: ConnectionInfo,
        options: ConnectionOptions,
    ) -> Result<ConnectionGuard, RegisterError> {
        let before = self.0.sockets.fetch_add(1, Ordering::AcqRel);
        // Who replaces its own older connection is let in: soon there is one less.
        if before >= self.0.capacity && !self.online(&info.id) {
            self.0.sockets.fetch_sub(1, Ordering::AcqRel);
            return Err(RegisterError::Full);
        }
        let shard = self.shard_of(self.0.hasher.hash_one(&*info.id));
        let context = Arc::clone(&self.0.context);
        let conn = Arc::new(ConnectionInner::new(info, options, shard, context));
        let inserted = self
            .shard(&conn)
            .index
            .lock()
            .insert(&conn, self.config().duplicate);
        match inserted {
            Inserted::Taken => {
                self.0.sockets.fetch_sub(1, Ordering::AcqRel);
                return Err(RegisterError::Duplicate);
            }
            Inserted::Replaced(older) if before >= self.0.capacity => {
                // A full node does not wait for its goodbye.
                older.close(CloseReason::Replaced);
                older.abort(CloseReason::Replaced);
            }
            Inserted::Replaced(older) => self.close_member(&older, CloseReason::Replaced),
            Inserted::Fresh => {}
        }
        Ok(ConnectionGuard {
            connection: Connection::new(self.clone(), conn),
        })
    }
}

impl ConnectionGuard {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes the connection out of the index, so that nothing more is sent to it and its id is free.
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
            index.tell_left(conn);
        }
        drop(index);
        conn.detach();
        hub.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}
