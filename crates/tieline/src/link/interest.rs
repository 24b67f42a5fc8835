//! Which users and groups have a connection here, told to every peer that opens a stream.
//!
//! Owns reference counts of 64-bit hashes, and for each stream what it has not been told yet: a snapshot
//! first, then changes. A hash that came and went in between is not told, so what waits for a stream is
//! bounded by the number of distinct hashes, however slow it reads. Must not know names or connections.

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

/// Hashes in one message: 128 KiB.
const AT_ONCE: usize = 16 << 10;

/// The hash by which nodes speak of a user or a group.
pub(crate) fn hash(kind: Scope, name: &str) -> u64 {
    let mut state = Xxh3::new();
    state.update(&[kind as u8]);
    state.update(name.as_bytes());
    state.digest()
}

/// Hashes are hashes already: a fixed seed serves.
type Hashes<T> = HashMap<u64, T, FixedState>;

/// What this node has connections of.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    state: Mutex<State>,
    seen: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each hash was gained and not lost.
    counts: Hashes<usize>,
    /// Counts up with each change that peers must hear of.
    version: u64,
    streams: Vec<Arc<Mutex<Stream>>>,
}

/// What one stream was told.
#[derive(Debug)]
struct Stream {
    /// Not told yet: whether the hash was gained.
    untold: Hashes<bool>,
    /// Of the newest change in `untold`, or told.
    version: u64,
    /// The version told last.
    completions: u64,
    /// The version that the peer goes by; `None` if it does not say (version 1).
    seen: Option<u64>,
    snapshot_told: bool,
    waker: Option<Waker>,
}

impl Interest {
    /// Counts a hash: called once by each shard that gains its first member.
    pub(crate) fn gained(&self, hash: u64) {
        let mut state = self.state.lock();
        let count = state.counts.entry(hash).or_default();
        *count += 1;
        if *count == 1 {
            state.tell(hash, true);
        }
    }

    /// Counts a hash down: called once by each shard that loses its last member.
    pub(crate) fn lost(&self, hash: u64) {
        let mut state = self.state.lock();
        let Some(count) = state.counts.get_mut(&hash) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&hash);
            state.tell(hash, false);
        }
    }

    /// Waits until the peers with a live stream go by everything gained until now, for `within` at most.
    /// Peers of version 1 do not say, and are not waited for.
    pub(crate) async fn settled(&self, within: Duration) -> bool {
        let version = self.state.lock().version;
        let settled = async {
            loop {
                let seen = self.seen.notified();
                tokio::pin!(seen);
                seen.as_mut().enable();
                if self.has_settled(version) {
                    return;
                }
                seen.await;
            }
        };
        timeout(within, settled).await.is_ok()
    }

    fn has_settled(&self, version: u64) -> bool {
        let state = self.state.lock();
        state.streams.iter().all(|stream| {
            let stream = stream.lock();
            let Some(seen) = stream.seen else { return true };
            seen >= version
                || (stream.snapshot_told && stream.untold.is_empty() && seen == stream.completions)
        })
    }

    /// A stream that hears everything from the beginning.
    pub(super) fn subscribe(self: Arc<Self>, peer_version: u32) -> Subscription {
        let mut state = self.state.lock();
        // Version 0 means that a message names none.
        state.version += 1;
        let stream = Arc::new(Mutex::new(Stream {
            untold: state.counts.keys().map(|hash| (*hash, true)).collect(),
            version: state.version,
            completions: 0,
            seen: (peer_version >= 2).then_some(0),
            snapshot_told: false,
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
    fn tell(&mut self, hash: u64, gained: bool) {
        self.version += 1;
        for stream in &self.streams {
            let mut stream = stream.lock();
            // What came and went since the last message is not told.
            if stream.untold.remove(&hash).is_none() {
                stream.untold.insert(hash, gained);
            }
            stream.version = self.version;
            if let Some(waker) = stream.waker.take() {
                waker.wake();
            }
        }
    }
}

/// One stream's part of the interest; it ends with the stream.
pub(super) struct Subscription {
    interest: Arc<Interest>,
    stream: Arc<Mutex<Stream>>,
}

impl Subscription {
    /// The next message, or none for now; the task is woken for the next change.
    pub(super) fn poll_message(&self, cx: &Context<'_>) -> Option<proto::Interest> {
        let mut stream = self.stream.lock();
        if stream.snapshot_told && stream.untold.is_empty() {
            if !stream
                .waker
                .as_ref()
                .is_some_and(|w| w.will_wake(cx.waker()))
            {
                stream.waker = Some(cx.waker().clone());
            }
            return None;
        }
        let mut message = proto::Interest::default();
        let some: Vec<_> = stream
            .untold
            .iter()
            .take(AT_ONCE)
            .map(|(h, g)| (*h, *g))
            .collect();
        for (hash, gained) in some {
            stream.untold.remove(&hash);
            if gained {
                message.gained.push(hash);
            } else {
                message.lost.push(hash);
            }
        }
        if stream.untold.is_empty() {
            // A map once grown for a snapshot would stay so for ever.
            stream.untold.shrink_to(AT_ONCE);
            stream.snapshot_told = true;
            stream.completions = stream.version;
            message.version = stream.version;
            message.complete = true;
        }
        Some(message)
    }

    /// The peer goes by this version.
    pub(super) fn seen(&self, version: u64) {
        let mut stream = self.stream.lock();
        if let Some(seen) = &mut stream.seen
            && version > *seen
        {
            *seen = version;
            drop(stream);
            self.interest.seen.notify_waiters();
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
        self.interest.seen.notify_waiters();
    }
}
