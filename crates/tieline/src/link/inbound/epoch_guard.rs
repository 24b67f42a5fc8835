//! The fence between the streams of one process.
//!
//! An old TCP connection can come back to life with messages that its sender has long given up. So streams
//! of a process carry an epoch that counts up, and a newer stream ends the older before anything of its own
//! is handled; from then on nothing of the older is.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The live stream of each process.
#[derive(Default)]
pub(in crate::link) struct StreamEpochs(Mutex<HashMap<Uuid, Arc<EpochSlot>>>);

struct EpochSlot {
    epoch: u64,
    /// Held while posts are handled.
    open: Mutex<bool>,
    /// Wakes the stream when it is superseded, or when the port ends.
    ending: CancellationToken,
}

impl StreamEpochs {
    /// Ends the older stream of a process, and waits for the batch that it may be handling. `None` if the
    /// live stream is the newer one.
    pub(super) fn enter(
        self: &Arc<Self>,
        process: Uuid,
        epoch: u64,
        port: &CancellationToken,
    ) -> Option<EpochGuard> {
        let slot = Arc::new(EpochSlot {
            epoch,
            open: Mutex::new(true),
            ending: port.child_token(),
        });
        let mut live = self.0.lock();
        if let Some(older) = live.get(&process) {
            if older.epoch >= epoch {
                return None;
            }
            // Under the lock of the table, so that a third stream does not begin before this is done.
            *older.open.lock() = false;
            older.ending.cancel();
        }
        live.insert(process, Arc::clone(&slot));
        drop(live);
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

/// One stream's place; given up when it ends.
pub(super) struct EpochGuard {
    epochs: Arc<StreamEpochs>,
    process: Uuid,
    slot: Arc<EpochSlot>,
}

impl EpochGuard {
    /// Held while posts are handled; `None` once a newer stream has come.
    pub(super) fn hold(&self) -> Option<MutexGuard<'_, bool>> {
        let open = self.slot.open.lock();
        open.then_some(open)
    }

    pub(super) fn ending(&self) -> CancellationToken {
        self.slot.ending.clone()
    }

    pub(super) fn is_superseded(&self) -> bool {
        !*self.slot.open.lock()
    }
}

impl Drop for EpochGuard {
    fn drop(&mut self) {
        let mut epochs = self.epochs.0.lock();
        if epochs
            .get(&self.process)
            .is_some_and(|live| Arc::ptr_eq(live, &self.slot))
        {
            epochs.remove(&self.process);
        }
    }
}
