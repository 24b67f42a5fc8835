//! The opener's side: one [`Link`] per peer.
//!
//! Owns the stream on which this node posts to one peer: its queue ([`queue`]), its liveness ([`liveness`]),
//! dialling and reconnection ([`run`]), the exchange itself ([`exchange`]), and the unary calls that serve
//! a node of go-websocket instead ([`foreign`]).
//!
//! Three tasks touch the state, each for a moment under its lock: whoever posts, HTTP/2 that takes the next
//! batch when the stream can carry it ([`sending`]), and the link's own task that reads what comes back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::{HashSet, HashSetExt};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    queue::Completions,
    run,
    state::{PushOutcome, State},
};
use crate::link::{
    codec::EncodeRequest,
    config::LinkConfig,
    outcome::{Completion, Outcome},
    proto,
};

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkStatus {
    /// The dial has begun: posts wait for it, for 200 ms at most.
    Dialling,
    /// Posts are sent.
    Up,
    /// The peer has answered nothing for a second: posts are refused until it does.
    Suspect,
    /// The last dial failed: posts are refused until one succeeds.
    Down,
    /// [`Link::end`] was called.
    LinkEnd,
}

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
            .field("standing", &self.status())
            .finish_non_exhaustive()
    }
}

impl<T: Completion> Link<T> {
    /// Starts to dial `host:port`. The link's tasks are `tasks`'s.
    pub(crate) fn start(address: Arc<str>, config: Arc<LinkConfig>, tasks: &TaskTracker) -> Self {
        let shared = Arc::new(Shared {
            address,
            tasks: tasks.clone(),
            state: Mutex::new(State::new(config.queue_bytes, Instant::now())),
            config,
            known: RwLock::new(PeerView::default()),
            status: watch::Sender::new(LinkStatus::Dialling),
            busy: Notify::new(),
            dial_now: Notify::new(),
            ending: CancellationToken::new(),
        });
        tasks.spawn(run::run(Arc::clone(&shared)));
        tasks.spawn(run::keep_time(Arc::clone(&shared)));
        Self(shared)
    }

    /// Queues a post; its ticket hears the outcome within a second. Never blocks. A post that is refused is
    /// told so before this returns.
    pub(crate) fn send(&self, request: &impl EncodeRequest, completion: T) {
        self.push(request, completion, false);
    }

    /// Queues a small post that the bound on bytes does not hold back.
    pub(crate) fn send_urgent(&self, request: &impl EncodeRequest, completion: T) {
        self.push(request, completion, true);
    }

    fn push(&self, request: &impl EncodeRequest, completion: T, urgent: bool) {
        let now = Instant::now();
        let pushed = self.0.state.lock().push(request, completion, urgent, now);
        match pushed {
            PushOutcome::Refused(completion, why) => completion.complete(Outcome::NotSent(why)),
            PushOutcome::Queued { sender, idle } => {
                if let Some(sender) = sender {
                    sender.wake();
                }
                if idle {
                    self.0.busy.notify_one();
                }
            }
        }
    }

    /// Whether posts are sent now.
    pub(crate) fn is_up(&self) -> bool {
        self.status() == LinkStatus::Up
    }

    pub(crate) fn status(&self) -> LinkStatus {
        *self.0.status.borrow()
    }

    /// Whether the peer speaks the unary service only: a node of go-websocket.
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.known.read().foreign
    }

    /// Whether the peer may have connections of a user or group, by its [`hash`](crate::link::hash). True until
    /// the peer has told all that it has.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        self.0.known.read().may_have(hash)
    }

    /// The peer's process; `None` until it has greeted, and for a foreign peer.
    pub(crate) fn process(&self) -> Option<Uuid> {
        self.0.known.read().process
    }

    /// How the link stands, and how it changes.
    #[cfg(test)]
    pub(crate) fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.0.status.subscribe()
    }

    /// The peer lives: if the link is down, it is dialled now. A peer that has just started would
    /// otherwise be unreachable for as long as the pause between dials has grown.
    pub(crate) fn dial_now(&self) {
        self.0.dial_now.notify_one();
    }

    /// Ends the link: what waits is unsent, what was sent is unknown. Later posts are refused.
    pub(crate) fn end(&self) {
        self.0.ending.cancel();
    }
}

/// What a link's clones and tasks share.
pub(super) struct Shared<T> {
    pub(super) address: Arc<str>,
    pub(super) config: Arc<LinkConfig>,
    pub(super) tasks: TaskTracker,
    pub(super) state: Mutex<State<T>>,
    pub(super) known: RwLock<PeerView>,
    pub(super) status: watch::Sender<LinkStatus>,
    /// The link was idle and has something to watch over now.
    pub(super) busy: Notify,
    /// The peer was heard of: the next dial need not wait.
    pub(super) dial_now: Notify,
    pub(super) ending: CancellationToken,
}

impl<T> Shared<T> {
    pub(super) fn announce(&self, status: LinkStatus) {
        self.status.send_if_modified(|now| {
            let is_new = *now != status && *now != LinkStatus::LinkEnd;
            if is_new {
                *now = status;
            }
            is_new
        });
    }
}

/// What is known of the peer.
#[derive(Debug, Default)]
pub(super) struct PeerView {
    pub(super) process: Option<Uuid>,
    pub(super) foreign: bool,
    /// Whether `interest` is all there is.
    pub(super) complete: bool,
    pub(super) interest: HashSet<u64>,
}

impl PeerView {
    fn may_have(&self, hash: u64) -> bool {
        !self.foreign && (!self.complete || self.interest.contains(&hash))
    }

    pub(super) fn learn(&mut self, news: &proto::Interest) {
        for hash in &news.lost {
            self.interest.remove(hash);
        }
        self.interest.extend(&news.gained);
        self.complete |= news.complete;
    }

    /// Of a peer that has just greeted.
    pub(super) fn of(process: Uuid) -> Self {
        Self {
            process: Some(process),
            interest: HashSet::new(),
            ..Self::default()
        }
    }
}

/// Tells tickets what became of their posts. The caller holds no lock.
pub(super) fn complete_all<T: Completion>(completions: &mut Completions<T>) {
    completions
        .drain(..)
        .for_each(|(completion, outcome)| completion.complete(outcome));
}

/// Streams of this process, counted up.
pub(super) fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}
