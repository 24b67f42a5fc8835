//! What a connection has once events of it are handled: their queue, and what the event handler keeps.
//!
//! Must not know frames. Invariant: a connection without events that anybody handles has no session.

use std::sync::Arc;

use parking_lot::Mutex;

use super::ack_ids::AckIds;
use crate::app::event_queue::EventQueue;

/// Shared by the callbacks of the connection and the handling of its events.
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

impl<M: Default> SessionSlot<M> {
    pub(super) fn with_memory(memory: M) -> Self {
        Self::Used(Arc::new(Session::new(AckIds::default(), memory)))
    }

    /// The session, from now on.
    pub(super) fn open(&mut self) -> Arc<Session<M>> {
        match self {
            Self::Used(session) => Arc::clone(session),
            Self::Unused(acked) => {
                let session = Session::new(std::mem::take(acked), M::default());
                let session = Arc::new(session);
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

impl<M> Session<M> {
    fn new(acked: AckIds, memory: M) -> Self {
        Self {
            queue: Arc::default(),
            acked: Mutex::new(acked),
            memory,
        }
    }
}
