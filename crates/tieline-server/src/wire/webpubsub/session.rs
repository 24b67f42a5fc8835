//! What a connection has once events of it are handled: their queue, and what the event handler keeps.
//!
//! Must not know frames. Invariant: a connection without events that anybody handles has no session.

use std::sync::Arc;

use parking_lot::Mutex;
use tieline::Connection;

use super::ack_ids::AckIds;
use crate::app::{
    client_data::{self, SharedClientData},
    event_queue::EventQueue,
};

/// Shared by the callbacks of the connection, the handling of its events, and requests about it.
pub(super) struct Session<M> {
    pub(super) queue: Arc<EventQueue>,
    /// The operations that succeeded, events included.
    pub(super) acked: Mutex<AckIds>,
    pub(super) memory: M,
}

/// The session, or what a connection has before the first event.
pub(super) enum SessionSlot<M> {
    Unused(AckIds),
    Used(Arc<Session<M>>),
}

/// The session of a connection, from now on.
pub(super) fn of<M: Default + Send + Sync + 'static>(connection: &Connection) -> Arc<Session<M>> {
    let data = connection.data::<SharedClientData>();
    data.map_or_else(Arc::default, |data| data.lock().session())
}

impl<M: Default + Send + Sync + 'static> SessionSlot<M> {
    pub(super) fn with_memory(memory: M) -> Self {
        Self::Used(Arc::new(Session {
            memory,
            ..Session::default()
        }))
    }

    /// The session that requests about the connection find, if there is one already.
    pub(super) fn shared(&self) -> Option<client_data::Session> {
        match self {
            Self::Used(session) => Some(Arc::clone(session) as _),
            Self::Unused(_) => None,
        }
    }

    /// The session of the connection, which is this slot's from now on.
    pub(super) fn open(&mut self, connection: &Connection) -> Arc<Session<M>> {
        match self {
            Self::Used(session) => Arc::clone(session),
            Self::Unused(acked) => {
                let session = of(connection);
                *session.acked.lock() = std::mem::take(acked);
                *self = Self::Used(Arc::clone(&session));
                session
            }
        }
    }

    pub(super) fn is_acked(&self, id: u64) -> bool {
        match self {
            Self::Unused(acked) => acked.contains(id),
            Self::Used(session) => session.acked.lock().contains(id),
        }
    }

    pub(super) fn insert_acked(&mut self, id: u64) {
        match self {
            Self::Unused(acked) => acked.insert(id),
            Self::Used(session) => session.acked.lock().insert(id),
        }
    }
}

impl<M> Default for SessionSlot<M> {
    fn default() -> Self {
        Self::Unused(AckIds::default())
    }
}

impl<M: Default> Default for Session<M> {
    fn default() -> Self {
        Self {
            queue: Arc::default(),
            acked: Mutex::default(),
            memory: M::default(),
        }
    }
}
