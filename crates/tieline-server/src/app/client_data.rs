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
    /// What the wire needs once events of the client are handled.
    #[allow(
        clippy::redundant_allocation,
        reason = "few clients have one, and the others hold one word instead of two"
    )]
    session: Option<Box<Session>>,
}

/// A wire's own type.
pub(crate) type Session = Arc<dyn Any + Send + Sync>;

impl ClientData {
    /// With a session, if there is one before the client is connected.
    pub(crate) fn new(roles: Arc<Roles>, session: Option<Session>) -> Self {
        Self {
            permissions: Permissions::new(roles),
            session: session.map(Box::new),
        }
    }

    /// The session, which is made by whoever needs it first.
    pub(crate) fn session<S: Default + Send + Sync + 'static>(&mut self) -> Arc<S> {
        let make = || -> Box<Session> { Box::new(Arc::new(S::default())) };
        let session = Session::clone(self.session.get_or_insert_with(make)).downcast();
        session.expect("a connection has one wire, whose sessions have one type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_made_once_and_a_client_without_one_holds_a_pointer() {
        let roles: Arc<Roles> = Arc::default();
        let mut data = ClientData::new(Arc::clone(&roles), None);
        let (one, other) = (data.session::<Vec<u8>>(), data.session::<Vec<u8>>());
        assert!(Arc::ptr_eq(&one, &other));
        let mut early = ClientData::new(roles, Some(Arc::clone(&one) as Session));
        assert!(Arc::ptr_eq(&one, &early.session()));
        let pointer = size_of::<usize>();
        let more = size_of::<SharedClientData>() - size_of::<Mutex<Permissions>>();
        assert_eq!(more, pointer);
    }
}
