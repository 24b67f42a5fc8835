//! The users and groups that have a connection on this node, as peers get to know them.
//!
//! Owns reference counts of 64-bit hashes, and for each stream the changes that are still to be sent: first
//! a snapshot, then changes. Must not know names or connections. Invariant: a hash that is gained and lost
//! again before it was sent is not sent, so the backlog of a stream is bounded by the number of distinct
//! hashes, however slowly the peer reads.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};
use xxhash_rust::xxh3::Xxh3;

use super::proto::{self, Scope};

/// Hashes per message: 128 KiB.
const MAX_HASHES: usize = 16 << 10;

/// The hash that identifies a user or a group between nodes.
pub(crate) fn hash(kind: Scope, name: &str) -> u64 {
    let mut state = Xxh3::new();
    state.update(&[kind as u8]);
    state.update(name.as_bytes());
    state.digest()
}

/// Keyed by hashes, so a fixed seed suffices.
type HashMapOf<T> = HashMap<u64, T, FixedState>;

/// The users and groups that have a connection on this node.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    state: Mutex<State>,
    /// A peer has acknowledged a version, or is not waited for any more, or a stream has ended.
    acknowledged: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each hash was gained and not lost.
    counts: HashMapOf<usize>,
    /// Increases with each change that peers have to know.
    version: u64,
    streams: Vec<Arc<Mutex<Stream>>>,
}

/// One stream's progress.
#[derive(Debug)]
struct Stream {
    /// Changes to send: whether the hash was gained.
    pending: HashMapOf<bool>,
    /// The version after all of `pending`.
    version: u64,
    /// The version sent last.
    sent: u64,
    /// The version that the peer has applied.
    acknowledged: u64,
    snapshot_sent: bool,
    /// Somebody has waited for it in vain, and it has not caught up since.
    is_late: bool,
    waker: Option<Waker>,
}

impl Interest {
    /// Counts a hash up: each shard calls this once when it gains the first member.
    pub(crate) fn gained(&self, hash: u64) {
        let mut state = self.state.lock();
        let count = state.counts.entry(hash).or_default();
        *count += 1;
        if *count == 1 {
            state.queue_change(hash, true);
        }
    }

    /// Counts a hash down: each shard calls this once when it loses the last member.
    pub(crate) fn lost(&self, hash: u64) {
        let mut state = self.state.lock();
        let Some(count) = state.counts.get_mut(&hash) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&hash);
            state.queue_change(hash, false);
        }
    }

    /// Waits until all peers with a live stream have applied everything gained so far, for `limit` at most; false if
    /// some have not. A peer for which somebody has waited in vain is waited for again once it has caught up, so that one
    /// which hangs is waited for once.
    pub(crate) async fn synced(&self, limit: Duration) -> bool {
        let version = self.state.lock().version;
        let synced = async {
            loop {
                let acknowledged = self.acknowledged.notified();
                tokio::pin!(acknowledged);
                acknowledged.as_mut().enable();
                if let Some(is_synced) = self.is_synced(version) {
                    return is_synced;
                }
                acknowledged.await;
            }
        };
        if let Ok(is_synced) = timeout(limit, synced).await {
            return is_synced;
        }
        let state = self.state.lock();
        let mut is_synced = true;
        for stream in &state.streams {
            let mut stream = stream.lock();
            if !stream.is_synced(version) {
                is_synced = false;
                stream.is_late = true;
            }
        }
        drop(state);
        // Who waits for the same peers has no more to wait for.
        self.acknowledged.notify_waiters();
        is_synced
    }

    /// Whether all have applied a version; `None` while one has not that is not late.
    fn is_synced(&self, version: u64) -> Option<bool> {
        let state = self.state.lock();
        let mut is_synced = true;
        for stream in &state.streams {
            let stream = stream.lock();
            if !stream.is_synced(version) {
                if !stream.is_late {
                    return None;
                }
                is_synced = false;
            }
        }
        Some(is_synced)
    }

    /// Starts a stream, which gets a snapshot and then every change.
    pub(super) fn subscribe(self: Arc<Self>) -> Subscription {
        let mut state = self.state.lock();
        // In a message, version 0 means none.
        state.version += 1;
        let stream = Arc::new(Mutex::new(Stream {
            pending: state.counts.keys().map(|hash| (*hash, true)).collect(),
            version: state.version,
            sent: 0,
            acknowledged: 0,
            snapshot_sent: false,
            is_late: false,
            waker: None,
        }));
        state.streams.push(Arc::clone(&stream));
        drop(state);
        Subscription {
            interest: self,
            stream,
        }
    }
}

impl State {
    fn queue_change(&mut self, hash: u64, gained: bool) {
        self.version += 1;
        for stream in &self.streams {
            let mut stream = stream.lock();
            // A pending change of the same hash is the opposite one: the two cancel out.
            if stream.pending.remove(&hash).is_none() {
                stream.pending.insert(hash, gained);
            }
            stream.version = self.version;
            if let Some(waker) = stream.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Stream {
    fn is_idle(&self) -> bool {
        self.snapshot_sent && self.pending.is_empty()
    }

    fn is_caught_up(&self) -> bool {
        self.is_idle() && self.acknowledged == self.sent
    }

    fn is_synced(&self, version: u64) -> bool {
        self.acknowledged >= version || self.is_caught_up()
    }

    fn take_message(&mut self) -> proto::Interest {
        let mut message = proto::Interest::default();
        let changes = self.pending.iter().take(MAX_HASHES);
        let changes: Vec<_> = changes.map(|(hash, gained)| (*hash, *gained)).collect();
        for (hash, gained) in changes {
            self.pending.remove(&hash);
            if gained {
                message.gained.push(hash);
            } else {
                message.lost.push(hash);
            }
        }
        if self.pending.is_empty() {
            // Otherwise the map would keep the memory of a large snapshot.
            self.pending.shrink_to(MAX_HASHES);
            self.snapshot_sent = true;
            self.sent = self.version;
            message.version = self.version;
            message.complete = true;
        }
        message
    }
}

/// One stream's subscription to the interest; ends when dropped.
pub(super) struct Subscription {
    interest: Arc<Interest>,
    stream: Arc<Mutex<Stream>>,
}

impl Subscription {
    /// The next message, if there is one; otherwise the next change wakes the task.
    pub(super) fn poll_message(&self, cx: &Context<'_>) -> Option<proto::Interest> {
        let mut stream = self.stream.lock();
        if !stream.is_idle() {
            return Some(stream.take_message());
        }
        let waker = stream.waker.as_ref();
        if !waker.is_some_and(|waker| waker.will_wake(cx.waker())) {
            stream.waker = Some(cx.waker().clone());
        }
        None
    }

    /// The peer has applied this version.
    pub(super) fn acknowledge(&self, version: u64) {
        let mut stream = self.stream.lock();
        if version > stream.acknowledged {
            stream.acknowledged = version;
            // Not before it has all: the answers of one that is slow come long after what they answer.
            stream.is_late &= !stream.is_caught_up();
            drop(stream);
            self.interest.acknowledged.notify_waiters();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.interest.state.lock();
        state
            .streams
            .retain(|stream| !Arc::ptr_eq(stream, &self.stream));
        drop(state);
        self.interest.acknowledged.notify_waiters();
    }
}
