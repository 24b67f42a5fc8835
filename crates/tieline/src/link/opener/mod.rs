//! The opener's side: one [`Link`] per peer.
//!
//! Owns the stream on which this node posts to one peer: its queue ([`queue`]), its liveness ([`pulse`]),
//! dialling and reconnection ([`drive`]), the exchange itself ([`exchange`]), and the unary calls that serve
//! a node of go-websocket instead ([`foreign`]).
//!
//! Three tasks touch the state, each for a moment under its lock: whoever posts, HTTP/2 that takes the next
//! batch when the stream can carry it ([`sending`]), and the link's own task that reads what comes back.

mod drive;
mod exchange;
mod foreign;
mod pulse;
mod queue;
mod sending;
mod state;
#[cfg(test)]
mod tests;

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

use self::{
    queue::Told,
    state::{Pushed, State},
};
use super::{
    outcome::{Outcome, Ticket},
    posting::Posting,
    settings::Settings,
    wire,
};

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The dial has begun: posts wait for it, for 200 ms at most.
    Dialling,
    /// Posts are sent.
    Up,
    /// The peer has answered nothing for a second: posts are refused until it does.
    Suspect,
    /// The last dial failed: posts are refused until one succeeds.
    Down,
    /// [`Link::end`] was called.
    Ended,
}

/// The stream to one peer. Clones share it; [`end`](Self::end) ends it.
pub(crate) struct Link<T: Ticket>(Arc<Shared<T>>);

impl<T: Ticket> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Ticket> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.0.address)
            .field("standing", &self.standing())
            .finish_non_exhaustive()
    }
}

impl<T: Ticket> Link<T> {
    /// Starts to dial `host:port`. The link's tasks are `tasks`'s.
    pub(crate) fn start(address: Arc<str>, settings: Arc<Settings>, tasks: &TaskTracker) -> Self {
        let shared = Arc::new(Shared {
            address,
            tasks: tasks.clone(),
            state: Mutex::new(State::new(settings.queue_bytes, Instant::now())),
            settings,
            known: RwLock::new(Known::default()),
            standing: watch::Sender::new(Standing::Dialling),
            busy: Notify::new(),
            hurry: Notify::new(),
            ending: CancellationToken::new(),
        });
        tasks.spawn(drive::drive(Arc::clone(&shared)));
        tasks.spawn(drive::keep_time(Arc::clone(&shared)));
        Self(shared)
    }

    /// Queues a post; its ticket hears the outcome within a second. Never blocks. A post that is refused is
    /// told so before this returns.
    pub(crate) fn post(&self, post: &impl Posting, ticket: T) {
        self.push(post, ticket, false);
    }

    /// Queues a small post that the bound on bytes does not hold back.
    pub(crate) fn post_urgent(&self, post: &impl Posting, ticket: T) {
        self.push(post, ticket, true);
    }

    fn push(&self, post: &impl Posting, ticket: T, urgent: bool) {
        let now = Instant::now();
        let pushed = self.0.state.lock().push(post, ticket, urgent, now);
        match pushed {
            Pushed::Refused(ticket, why) => ticket.outcome(Outcome::Unsent(why)),
            Pushed::Queued { sender, idle } => {
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
        self.standing() == Standing::Up
    }

    pub(crate) fn standing(&self) -> Standing {
        *self.0.standing.borrow()
    }

    /// Whether the peer speaks the unary service only: a node of go-websocket.
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.known.read().foreign
    }

    /// Whether the peer may have connections of a user or group, by its [`hash`](super::hash). True until
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
    pub(crate) fn watch(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// The peer lives: if the link is down, it is dialled now. A peer that has just started would
    /// otherwise be unreachable for as long as the pause between dials has grown.
    pub(crate) fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    /// Ends the link: what waits is unsent, what was sent is unknown. Later posts are refused.
    pub(crate) fn end(&self) {
        self.0.ending.cancel();
    }
}

/// What a link's clones and tasks share.
struct Shared<T> {
    address: Arc<str>,
    settings: Arc<Settings>,
    tasks: TaskTracker,
    state: Mutex<State<T>>,
    known: RwLock<Known>,
    standing: watch::Sender<Standing>,
    /// The link was idle and has something to watch over now.
    busy: Notify,
    /// The peer was heard of: the next dial need not wait.
    hurry: Notify,
    ending: CancellationToken,
}

impl<T> Shared<T> {
    fn announce(&self, standing: Standing) {
        self.standing.send_if_modified(|now| {
            let is_new = *now != standing && *now != Standing::Ended;
            if is_new {
                *now = standing;
            }
            is_new
        });
    }
}

/// What is known of the peer.
#[derive(Debug, Default)]
struct Known {
    process: Option<Uuid>,
    foreign: bool,
    /// Whether `interest` is all there is.
    complete: bool,
    interest: HashSet<u64>,
}

impl Known {
    fn may_have(&self, hash: u64) -> bool {
        !self.foreign && (!self.complete || self.interest.contains(&hash))
    }

    fn learn(&mut self, news: &wire::Interest) {
        for hash in &news.lost {
            self.interest.remove(hash);
        }
        self.interest.extend(&news.gained);
        self.complete |= news.complete;
    }

    /// Of a peer that has just greeted.
    fn of(process: Uuid) -> Self {
        Self {
            process: Some(process),
            interest: HashSet::new(),
            ..Self::default()
        }
    }
}

/// Tells tickets what became of their posts. The caller holds no lock.
fn tell<T: Ticket>(told: &mut Told<T>) {
    told.drain(..)
        .for_each(|(ticket, outcome)| ticket.outcome(outcome));
}

/// Streams of this process, counted up.
fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}
