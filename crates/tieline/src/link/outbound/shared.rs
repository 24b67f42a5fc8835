//! What the clones and the tasks of a link share.
//!
//! Owns the lock of the state, and everything that must not happen under it: completing requests, waking
//! tasks, ending connections.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    dial::LinkStatus,
    peer_view::PeerView,
    state::{Effects, State},
};
use crate::link::{config::LinkConfig, outcome::Completion};

pub(super) struct Shared<T> {
    pub(super) address: Arc<str>,
    pub(super) config: Arc<LinkConfig>,
    pub(super) tasks: TaskTracker,
    state: Mutex<State<T>>,
    pub(super) peer_view: RwLock<PeerView>,
    pub(super) status: watch::Sender<LinkStatus>,
    /// Wakes the timer of an idle link.
    pub(super) timer: Notify,
    /// The process that the registry names for the address; `None` if it is not known yet.
    pub(super) expected: Mutex<Option<Uuid>>,
    /// The process that answered is not the one that is expected now.
    pub(super) unexpected: Notify,
    /// Ends the pause before the next dial.
    pub(super) dial_now: Notify,
    pub(super) end: CancellationToken,
}

impl<T: Completion> Shared<T> {
    pub(super) fn new(
        address: Arc<str>,
        expected: Option<Uuid>,
        config: Arc<LinkConfig>,
        tasks: TaskTracker,
    ) -> Self {
        let state = State::new(config.queue_bytes, Instant::now());
        Self {
            address,
            tasks,
            status: watch::Sender::new(state.status()),
            state: Mutex::new(state),
            config,
            peer_view: RwLock::default(),
            expected: Mutex::new(expected),
            unexpected: Notify::new(),
            timer: Notify::new(),
            dial_now: Notify::new(),
            end: CancellationToken::new(),
        }
    }

    /// Sets what is known of the peer, now that it has answered; returns what was known before. No report is expected
    /// of one that makes none.
    pub(super) fn set_view(&self, view: PeerView) -> PeerView {
        let may_report = view.may_report();
        let before = std::mem::replace(&mut *self.peer_view.write(), view);
        if !may_report {
            self.config.reports.forget_all_of(&self.address);
        }
        before
    }

    /// Runs `f` under the lock of the state, publishes a change of the status, and applies the collected
    /// effects after the lock is released.
    pub(super) fn with_state<R>(&self, f: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.state.lock();
        let result = f(&mut state);
        let effects = state.take_effects();
        if let Some(status) = state.take_status_change() {
            // Under the lock, so that changes are published in their order.
            self.status.send_replace(status);
        }
        drop(state);
        self.apply_effects(effects);
        result
    }

    fn apply_effects(&self, effects: Effects<T>) {
        if let Some(waker) = effects.wake {
            waker.wake();
        }
        if effects.start_timer {
            self.timer.notify_one();
        }
        if let Some(connection) = effects.abort {
            connection.end();
        }
        let mut completions = effects.completions;
        if completions.is_empty() {
            return;
        }
        for (completion, outcome) in completions.drain(..) {
            completion.complete(outcome);
        }
        // Not worth waiting for.
        if let Some(mut state) = self.state.try_lock() {
            state.reuse(completions);
        }
    }
}
