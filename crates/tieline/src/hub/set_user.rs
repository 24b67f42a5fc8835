//! The user of a connection that says who it is after the upgrade.
//!
//! Owns the call and its errors. The index owns the step: under its lock, a connection that it holds gets its user and
//! is in the user's scope, as if it had been accepted so.

use std::sync::Arc;

use tieline_registry::{NameError, id};

use super::{core::Hub, handle::Connection, index::OtherUser, inner::ConnectionInner};

/// Why the user of a connection could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The connection has another user, from the upgrade or an earlier call.
    #[error("the connection has another user; a user is set once")]
    Taken,
    /// The connection has ended.
    #[error("the connection is closed")]
    Closed,
}

impl Connection {
    /// Sets the user, for a client that says who it is after the upgrade, in a message. Once: from then on the
    /// connection is as one that was accepted with [`Accept::user`](crate::Accept::user), for every call, list and
    /// filter. To set the same user again changes nothing. Of two calls at once with different users, one fails.
    ///
    /// What this node sends to the user from now on reaches the client; what waits from before does not. Other nodes
    /// know once the update has crossed the links, as after a [`join`](Self::join):
    /// [`Cluster::synced`](crate::Cluster::synced) waits for that.
    ///
    /// Costs one lock of the client's shard, and the memory that a user takes: a connection that never has one is no
    /// larger.
    ///
    /// ```
    /// use tieline::{Connection, UserError};
    ///
    /// /// A client sends its token as its first message.
    /// fn sign_in(connection: &Connection, token: &str) -> Result<(), UserError> {
    ///     let Some(user) = verify(token) else {
    ///         connection.emit("who are you?");
    ///         return Ok(());
    ///     };
    ///     connection.set_user(user)?;
    ///     connection.hub().emit_user(user, "signed in on another device");
    ///     Ok(())
    /// }
    /// # fn verify(token: &str) -> Option<&str> { Some(token) }
    /// ```
    ///
    /// # Errors
    /// If the name is empty, longer than [`MAX_NAME`](crate::MAX_NAME) bytes or begins with a NUL, if the connection
    /// has another user, or if it has ended. Nothing is changed then.
    pub fn set_user(&self, user: &str) -> Result<(), UserError> {
        id::check(user)?;
        let key = self.hub().names().key(user);
        self.hub().set_user(self.inner(), key.into())
    }
}

impl Hub {
    /// Sets the user of a connection to the one with this key.
    fn set_user(&self, conn: &Arc<ConnectionInner>, user: Arc<str>) -> Result<(), UserError> {
        let mut index = self.shard(conn).index.lock();
        if !index.contains(conn) {
            return Err(UserError::Closed);
        }
        let set = index.set_user(conn, user);
        set.map_err(|OtherUser| UserError::Taken)
    }
}
