//! What those who observe a connection are told of its frames, until they take it.
//!
//! Owns the queue of each of them. Must not know connections, nor when a frame counts as sent. Invariants: a queue
//! has a bound, and each event a bound of payload; what is lost is counted, and said with the next event; nobody is
//! woken here, because the caller holds a lock.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tieline_websocket::FrameKind;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    Received,
    /// To the client.
    Sent,
}

/// A frame that an [`Observation`](crate::Observation) has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// When it was decoded, or entered the client's outbox.
    pub at: Instant,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is. A message that the client sent in fragments is one frame here, unless the connection
    /// [streams](crate::Accept::streaming); then its pieces are fragments.
    pub kind: FrameKind,
    /// Whether a message begins with it; false for the later fragments of one, and for control frames.
    pub begins_message: bool,
    /// Bytes of its payload, uncompressed.
    pub len: usize,
    /// The first of these bytes, as many as the observer wants.
    pub payload: Bytes,
    /// How many frames before this one were lost, because the observer was behind.
    pub missed: u64,
}

/// What a frame is, and whether a message begins with it.
pub(super) type Kind = (FrameKind, bool);

/// The queue of one observer.
#[derive(Debug)]
pub(super) struct ObserverQueue {
    state: Mutex<State>,
    /// Most events that wait; the oldest gives way.
    capacity: usize,
    /// Most bytes of a payload that are kept.
    payload: usize,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Observed>,
    waker: Option<Waker>,
    has_ended: bool,
}

impl ObserverQueue {
    pub(super) fn new(capacity: usize, payload: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity: capacity.max(1),
            payload,
        }
    }

    /// Adds an event. Who takes them is still to be woken.
    fn push(&self, direction: Direction, (kind, begins_message): Kind, payload: &[u8]) {
        let kept = &payload[..payload.len().min(self.payload)];
        let mut observed = Observed {
            at: tokio::time::Instant::now().into_std(),
            direction,
            kind,
            begins_message,
            len: payload.len(),
            payload: Bytes::copy_from_slice(kept),
            missed: 0,
        };
        let mut state = self.state.lock();
        if state.events.len() >= self.capacity
            && let Some(oldest) = state.events.pop_front()
        {
            let lost = oldest.missed + 1;
            let next = state.events.front_mut().unwrap_or(&mut observed);
            next.missed += lost;
        }
        state.events.push_back(observed);
    }

    /// Says that nothing more will come.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next event; `None` after the last.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Observed>> {
        let mut state = self.state.lock();
        if let Some(event) = state.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if state.has_ended {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take_waker(&self) -> Option<Waker> {
        self.state.lock().waker.take()
    }
}

/// Those who observe one connection.
#[derive(Debug, Default)]
pub(super) struct Observers(Vec<Arc<ObserverQueue>>);

impl Observers {
    pub(super) fn add(&mut self, queue: Arc<ObserverQueue>) {
        self.0.push(queue);
    }

    /// Whether there are others left.
    pub(super) fn remove(&mut self, queue: &Arc<ObserverQueue>) -> bool {
        self.0.retain(|other| !Arc::ptr_eq(other, queue));
        !self.0.is_empty()
    }

    pub(super) fn push(&self, direction: Direction, kind: Kind, payload: &[u8]) {
        for queue in &self.0 {
            queue.push(direction, kind, payload);
        }
    }

    /// Those who wait for what was pushed, to be woken without a lock.
    pub(super) fn take_wakers(&self) -> Vec<Waker> {
        self.0
            .iter()
            .filter_map(|queue| queue.take_waker())
            .collect()
    }

    /// Says to all that nothing more will come. No lock may be held.
    pub(super) fn end(&self) {
        self.0.iter().for_each(|queue| queue.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &ObserverQueue) -> Option<Observed> {
        match queue.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => panic!("nothing waits"),
        }
    }

    #[test]
    fn the_oldest_gives_way_and_the_next_one_says_how_many_were_lost() {
        for capacity in [0, 1, 3] {
            let queue = ObserverQueue::new(capacity, 2);
            for text in ["a", "bc", "def", "ghij", "klmno"] {
                queue.push(Direction::Sent, (FrameKind::Text, true), text.as_bytes());
            }
            queue.end();
            let kept = capacity.max(1);
            for place in 0..kept {
                let event = next(&queue).unwrap();
                let lost = if place == 0 { 5 - kept } else { 0 };
                assert_eq!(event.missed, lost as u64, "{capacity}, {place}");
                assert_eq!(event.len, 6 - kept + place);
                assert_eq!(event.payload.len(), event.len.min(2));
            }
            assert_eq!(next(&queue), None);
        }
    }
}
