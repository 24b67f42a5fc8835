//! Protects against requests of outdated streams.
//!
//! An old TCP connection can come back to life and deliver requests that their sender gave up long ago.
//! Therefore the streams of a process carry an increasing epoch. A newer stream ends the older one before
//! any of its own requests is handled; from then on no request of the older stream is.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The current stream of each process.
#[derive(Default)]
pub(in crate::link) struct StreamEpochs(Mutex<HashMap<Uuid, Arc<EpochSlot>>>);

struct EpochSlot {
    epoch: u64,
    /// Whether this is the current stream. Locked while requests are handled.
    is_current: Mutex<bool>,
    /// Wakes the stream when a newer one replaces it, or when the server shuts down.
    end: CancellationToken,
}

impl StreamEpochs {
    /// Makes a stream the current one of its process, after the batch that an older stream may be handling.
    /// `None` if the current stream is newer, or has the same epoch.
    pub(super) fn enter(
        self: &Arc<Self>,
        process: Uuid,
        epoch: u64,
        shutdown: &CancellationToken,
    ) -> Option<EpochGuard> {
        let slot = Arc::new(EpochSlot {
            epoch,
            is_current: Mutex::new(true),
            end: shutdown.child_token(),
        });
        let mut slots = self.0.lock();
        if let Some(older) = slots.get(&process) {
            if older.epoch >= epoch {
                return None;
            }
            // Under the lock of the table, so that a third stream cannot start before this one has.
            *older.is_current.lock() = false;
            older.end.cancel();
        }
        slots.insert(process, Arc::clone(&slot));
        drop(slots);
        Some(EpochGuard {
            epochs: Arc::clone(self),
            process,
            slot,
        })
    }

    #[cfg(test)]
    pub(in crate::link) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// One stream's right to have its requests handled. Dropped when the stream ends.
pub(super) struct EpochGuard {
    epochs: Arc<StreamEpochs>,
    process: Uuid,
    slot: Arc<EpochSlot>,
}

impl EpochGuard {
    /// Locks the epoch while requests are handled; `None` if a newer stream has started.
    pub(super) fn lock(&self) -> Option<MutexGuard<'_, bool>> {
        let is_current = self.slot.is_current.lock();
        is_current.then_some(is_current)
    }

    /// Cancelled when a newer stream starts or the server shuts down.
    pub(super) fn end(&self) -> CancellationToken {
        self.slot.end.clone()
    }

    pub(super) fn is_superseded(&self) -> bool {
        !*self.slot.is_current.lock()
    }
}

impl Drop for EpochGuard {
    fn drop(&mut self) {
        let mut slots = self.epochs.0.lock();
        if slots
            .get(&self.process)
            .is_some_and(|current| Arc::ptr_eq(current, &self.slot))
        {
            slots.remove(&self.process);
        }
    }
}
