//! What a node keeps with the connection of a client, for its callbacks and for requests about it.
//!
//! Must not know what a wire keeps there. Invariant: callbacks and requests see the same.

use std::{any::Any, sync::Arc};

use parking_lot::Mutex;

use super::{permissions::Permissions, role::Roles};

/// Shared by the callbacks of the connection and by requests about it.
pub(crate) type SharedClientData = Mutex<ClientData>;

/// The data of a connection.
pub(crate) struct ClientData {
    pub(crate) permissions: Permissions,
    /// What the wire needs once events of the client are handled. Few clients have any.
    session: Option<Arc<dyn Any + Send + Sync>>,
}

impl ClientData {
    /// With a session, if there is one before the client is connected.
    pub(crate) fn new(roles: Arc<Roles>, session: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self {
            permissions: Permissions::new(roles),
            session,
        }
    }

    /// The session, which is made by whoever needs it first.
    pub(crate) fn session<S: Default + Send + Sync + 'static>(&mut self) -> Arc<S> {
        let session = self.session.get_or_insert_with(|| Arc::new(S::default()));
        let session = Arc::clone(session).downcast();
        session.expect("a connection has one wire, whose sessions have one type")
    }
}
