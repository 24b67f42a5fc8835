//! The handle of a link.
//!
//! Owns the start of a link's two tasks, and the methods for the rest of the node. Must not know when a
//! request is accepted: that is [`state`](super::state). Invariant: a completion is called after the lock of
//! the state is released.

use std::{fmt, sync::Arc};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    dial::LinkStatus,
    queue::Priority,
    run,
    shared::Shared,
    state::{LinkLoad, State},
};
use crate::{
    link::{
        codec::EncodeRequest,
        config::LinkConfig,
        outcome::{Completion, Outcome},
        proto::EMIT_MANY,
    },
    written::Tracker,
};

/// The stream to one peer. Clones share it; [`end`](Self::end) ends it.
pub(crate) struct Link<T: Completion>(Arc<Shared<T>>);

impl<T: Completion> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Completion> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.0.address)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl<T: Completion> Link<T> {
    /// Starts to dial `host:port`, where the registry expects a process. Spawns the link's tasks on `tasks`.
    pub(crate) fn start(
        address: Arc<str>,
        expected: Option<Uuid>,
        config: Arc<LinkConfig>,
        tasks: &TaskTracker,
    ) -> Self {
        let shared = Arc::new(Shared::new(address, expected, config, tasks.clone()));
        tasks.spawn(run::run(Arc::clone(&shared)));
        tasks.spawn(run::run_timer(Arc::clone(&shared)));
        Self(shared)
    }

    /// Queues a request. Never blocks. `completion` gets the outcome within a second, or before this returns
    /// if the request is refused.
    pub(crate) fn send(&self, request: &impl EncodeRequest, completion: T) {
        self.push(request, completion, Priority::Normal);
    }

    /// Queues a small request, to which the bound on bytes does not apply.
    pub(crate) fn send_urgent(&self, request: &impl EncodeRequest, completion: T) {
        self.push(request, completion, Priority::Urgent);
    }

    fn push(&self, request: &impl EncodeRequest, completion: T, priority: Priority) {
        let now = Instant::now();
        let push = |state: &mut State<T>| state.push(request, completion, priority, now);
        if let Err((completion, why)) = self.0.with_state(push) {
            completion.complete(Outcome::NotSent(why));
        }
    }

    /// Whether requests are sent now.
    pub(crate) fn is_up(&self) -> bool {
        self.status() == LinkStatus::Up
    }

    pub(crate) fn status(&self) -> LinkStatus {
        *self.0.status.borrow()
    }

    /// How many requests and bytes wait, and how long a ping takes.
    pub(crate) fn load(&self) -> LinkLoad {
        self.0.with_state(State::load)
    }

    /// Whether the peer supports the unary service only, as a node of go-websocket does.
    pub(crate) fn is_unary_only(&self) -> bool {
        self.0.peer_view.read().is_unary_only()
    }

    /// Whether the peer may have connections of a user or group, by its [`hash`](crate::link::hash). True
    /// until the peer has sent all that it has.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        self.0.peer_view.read().may_have(hash)
    }

    /// Whether the peer takes a message to many ids of this size. A peer without a stream does not.
    pub(crate) fn takes_many(&self, bytes: usize) -> bool {
        let version = self.0.peer_view.read().version();
        version.is_some_and(|version| version >= EMIT_MANY)
            && bytes <= self.0.config.queue_bytes / 2
    }

    /// Expects the peer's report on a message that is about to be sent. Returns the number of the report; 0 if there
    /// will be none, because the peer makes none, or too many are expected.
    pub(crate) fn expect_report(&self, tracker: &Arc<Tracker>) -> u64 {
        // Locked until it is expected: if the peer turns out to make no reports, that follows.
        let view = self.0.peer_view.read();
        if view.may_report() {
            self.0.config.reports.expect(tracker, &self.0.address)
        } else {
            0
        }
    }

    /// Expects no report on this message any more.
    pub(crate) fn forget_report(&self, tracker: &Tracker) {
        self.0.config.reports.forget(tracker);
    }

    /// The peer's process. `None` before the peer's hello, and if the peer supports the unary service only.
    pub(crate) fn process(&self) -> Option<Uuid> {
        self.0.peer_view.read().process()
    }

    /// The status, and its changes.
    #[cfg(test)]
    pub(crate) fn watch(&self) -> tokio::sync::watch::Receiver<LinkStatus> {
        self.0.status.subscribe()
    }

    /// Dials now if the link is down, because the peer is known to be alive. Otherwise a peer that has just
    /// started would stay unreachable for as long as the pause between dials has grown.
    pub(crate) fn dial_now(&self) {
        self.0.dial_now.notify_one();
    }

    /// Whether it is known which process should answer.
    pub(crate) fn is_expecting(&self) -> bool {
        self.0.expected.lock().is_some()
    }

    /// From the next dial on, only this process is linked to. A link that is up stays, unless it went up
    /// without knowing whom to expect and reached another process.
    pub(crate) fn expect(&self, process: Uuid) {
        let before = self.0.expected.lock().replace(process);
        if before == Some(process) {
            return;
        }
        if !self.is_up() {
            self.dial_now();
        } else if before.is_none() && self.process().is_some_and(|there| there != process) {
            self.0.unexpected.notify_waiters();
        }
    }

    /// Whether the process that answers here is reached under another address: it is another peer, or this
    /// node. The process that the registry names for this address is gone.
    pub(crate) fn is_alias(&self) -> bool {
        self.0.peer_view.read().is_alias()
    }

    /// Ends the link: what waits is not sent, the outcome of what was sent is unknown. Later requests are
    /// refused.
    pub(crate) fn end(&self) {
        self.0.end.cancel();
    }
}
