//! Keeps the order of calls while routes are looked up.
//!
//! Owns what waits: messages to one behind the look-up of their client's route, messages to many
//! behind every look-up that was begun before them. Knows neither registry nor link: whoever adds is
//! told to look, says what was found, and dispatches what is ready. Invariants: what was added for one
//! client leaves in the order of the calls, what came back from a node where the client was not before
//! what was added since; nothing overtakes a message to many, and it overtakes nothing; at most
//! `bytes` and [`MOST`] messages wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// Messages that may wait.
const MOST: usize = 65_536;

/// `T` is a message to one, `M` one to many, `F` what a look-up found.
#[derive(Debug)]
pub(super) struct OrderingQueue<T, M, F> {
    state: Mutex<State<T, M, F>>,
    /// Segments, so that an idle line costs a load.
    segments: AtomicUsize,
    bytes: usize,
}

#[derive(Debug)]
struct State<T, M, F> {
    /// Each ends with a message to many, but for the last.
    segments: VecDeque<Segment<T, M, F>>,
    count: usize,
    bytes: usize,
    /// Someone dispatches.
    dispatching: bool,
}

#[derive(Debug)]
struct Segment<T, M, F> {
    unicasts: HashMap<Arc<str>, ClientBacklog<T, F>>,
    /// Clients whose messages may go, or have just gone.
    ready: VecDeque<Arc<str>>,
    /// Whether a message to many ends it, and that message until it leaves.
    closed: bool,
    multicast: Option<M>,
}

#[derive(Debug)]
struct ClientBacklog<T, F> {
    /// What came back, in order; it goes first.
    bounced: VecDeque<(T, usize)>,
    queued: VecDeque<(T, usize)>,
    found: Option<F>,
    /// Nodes from which more may come back.
    bounces_outstanding: usize,
}

/// What became of an addition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Enqueued<T> {
    /// It waits, and its route is to be looked up.
    NeedsLookup,
    /// It waits.
    Queued,
    /// Nothing is before it: it may go.
    SendNow(T),
    /// Too much waits.
    Full(T),
}

/// What may go now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ready<T, M, F> {
    Unicasts(Vec<T>, F),
    Multicast(M),
}

impl<T, M, F: Clone> OrderingQueue<T, M, F> {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                segments: VecDeque::new(),
                count: 0,
                bytes: 0,
                dispatching: false,
            }),
            segments: AtomicUsize::new(0),
            bytes,
        }
    }

    /// Whether nothing waits, or is being dispatched.
    pub(super) fn is_idle(&self) -> bool {
        self.segments.load(Ordering::Acquire) == 0
    }

    /// Whether messages to this client wait, or may still come back.
    pub(super) fn is_waiting_for(&self, id: &str) -> bool {
        if self.is_idle() {
            return false;
        }
        let state = self.state.lock();
        let mut segments = state.segments.iter();
        segments.any(|segment| segment.unicasts.contains_key(id))
    }

    /// Adds a message to one; `routed` says whether its route is known.
    pub(super) fn enqueue(
        &self,
        id: &Arc<str>,
        unicast: T,
        bytes: usize,
        routed: bool,
    ) -> Enqueued<T> {
        let mut state = self.state.lock();
        if routed && state.is_free(id) {
            return Enqueued::SendNow(unicast);
        }
        let fits = state.count == 0 || (state.count < MOST && state.bytes + bytes <= self.bytes);
        if !fits {
            return Enqueued::Full(unicast);
        }
        (state.count, state.bytes) = (state.count + 1, state.bytes + bytes);
        let segment = state.last();
        let fresh = !segment.unicasts.contains_key(id);
        let backlog = segment.unicasts.entry(Arc::clone(id)).or_default();
        backlog.queued.push_back((unicast, bytes));
        self.segments.store(state.segments.len(), Ordering::Release);
        if fresh {
            Enqueued::NeedsLookup
        } else {
            Enqueued::Queued
        }
    }

    /// Adds a message that came back from a node where its client is not. Until
    /// [`OrderingQueue::all_bounced`], more may come back from there. Its route is to be looked up anew.
    pub(super) fn add_bounced(&self, id: &Arc<str>, unicast: T, bytes: usize) -> bool {
        let mut state = self.state.lock();
        (state.count, state.bytes) = (state.count + 1, state.bytes + bytes);
        if state.segments.is_empty() {
            state.segments.push_back(Segment::default());
        }
        let backlog = state.segments[0]
            .unicasts
            .entry(Arc::clone(id))
            .or_default();
        // One look-up and one marker serve all that come back together.
        let first = backlog.bounces_outstanding == 0 || backlog.found.is_some();
        backlog.bounced.push_back((unicast, bytes));
        backlog.found = None;
        backlog.bounces_outstanding += usize::from(first);
        self.segments.store(state.segments.len(), Ordering::Release);
        first
    }

    /// Takes out those that came back and are `late`: a message sent after them was delivered meanwhile.
    pub(super) fn overtaken(&self, id: &str, late: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let front = state.segments.front_mut();
        let Some(backlog) = front.and_then(|segment| segment.unicasts.get_mut(id)) else {
            return Vec::new();
        };
        let bounced = std::mem::take(&mut backlog.bounced).into_iter();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            bounced.partition(|(unicast, _)| late(unicast));
        backlog.bounced = kept;
        state.count -= gone.len();
        state.bytes -= gone.iter().map(|(_, bytes)| bytes).sum::<usize>();
        gone.into_iter().map(|(unicast, _)| unicast).collect()
    }

    /// From here on messages to a client wait until [`OrderingQueue::all_bounced`], and for a look-up: some may
    /// come back from a node that it left.
    pub(super) fn expect_bounces(&self, id: &Arc<str>) {
        let mut state = self.state.lock();
        if state.segments.is_empty() {
            state.segments.push_back(Segment::default());
        }
        let backlog = state.segments[0]
            .unicasts
            .entry(Arc::clone(id))
            .or_default();
        backlog.found = None;
        backlog.bounces_outstanding += 1;
        self.segments.store(state.segments.len(), Ordering::Release);
    }

    /// Nothing more comes back from a node.
    pub(super) fn all_bounced(&self, id: &str) {
        let mut state = self.state.lock();
        if let Some(segment) = state.segments.front_mut()
            && let Some(backlog) = segment.unicasts.get_mut(id)
        {
            backlog.bounces_outstanding = backlog.bounces_outstanding.saturating_sub(1);
            segment.mark_ready(id);
        }
    }

    /// Adds a message to many; gives it back if nothing is before it.
    pub(super) fn add_multicast(&self, multicast: M) -> Option<M> {
        let mut state = self.state.lock();
        if state.segments.is_empty() {
            return Some(multicast);
        }
        let segment = state.last();
        (segment.closed, segment.multicast) = (true, Some(multicast));
        self.segments.store(state.segments.len(), Ordering::Release);
        None
    }

    /// A look-up ended.
    pub(super) fn resolve(&self, id: &str, found: &F) {
        let mut state = self.state.lock();
        for segment in &mut state.segments {
            if let Some(backlog) = segment.unicasts.get_mut(id) {
                backlog.found.get_or_insert_with(|| found.clone());
                segment.mark_ready(id);
            }
        }
    }

    /// Dispatches what is ready, in order. If another does so already, it will do this too.
    pub(super) fn dispatch(&self, mut each: impl FnMut(Ready<T, M, F>)) {
        if std::mem::replace(&mut self.state.lock().dispatching, true) {
            return;
        }
        loop {
            let mut state = self.state.lock();
            let next = state.next();
            self.segments.store(state.segments.len(), Ordering::Release);
            let Some(ready) = next else {
                state.dispatching = false;
                return;
            };
            drop(state);
            each(ready);
        }
    }
}

impl<T, M, F: Clone> State<T, M, F> {
    /// Whether a message to this client would overtake nothing.
    fn is_free(&self, id: &str) -> bool {
        match self.segments.len() {
            0 => true,
            1 => !self.segments[0].closed && !self.segments[0].unicasts.contains_key(id),
            _ => false,
        }
    }

    /// The segment to add to.
    fn last(&mut self) -> &mut Segment<T, M, F> {
        if self.segments.back().is_none_or(|segment| segment.closed) {
            self.segments.push_back(Segment::default());
        }
        self.segments
            .back_mut()
            .expect("one was there or was added")
    }

    /// The next that may go. What is being dispatched keeps its place until the call after, so that
    /// nothing overtakes it.
    fn next(&mut self) -> Option<Ready<T, M, F>> {
        loop {
            let segment = self.segments.front_mut()?;
            while let Some(id) = segment.ready.pop_front() {
                let Some(backlog) = segment.unicasts.get_mut(&id) else {
                    continue;
                };
                let Some(found) = backlog.resolution() else {
                    continue;
                };
                if backlog.is_empty() {
                    segment.unicasts.remove(&id);
                    continue;
                }
                let mut unicasts = Vec::new();
                for (unicast, bytes) in backlog.bounced.drain(..).chain(backlog.queued.drain(..)) {
                    (self.count, self.bytes) = (self.count - 1, self.bytes - bytes);
                    unicasts.push(unicast);
                }
                segment.ready.push_front(id);
                return Some(Ready::Unicasts(unicasts, found));
            }
            if !segment.unicasts.is_empty() {
                return None;
            }
            if let Some(multicast) = segment.multicast.take() {
                return Some(Ready::Multicast(multicast));
            }
            self.segments.pop_front();
        }
    }
}

impl<T, M, F: Clone> Segment<T, M, F> {
    /// Lists a client if its messages may go.
    fn mark_ready(&mut self, id: &str) {
        if let Some((id, backlog)) = self.unicasts.get_key_value(id)
            && backlog.resolution().is_some()
        {
            self.ready.push_back(Arc::clone(id));
        }
    }
}

impl<T, F: Clone> ClientBacklog<T, F> {
    fn is_empty(&self) -> bool {
        self.bounced.is_empty() && self.queued.is_empty()
    }

    /// What was found, once nothing more comes back.
    fn resolution(&self) -> Option<F> {
        self.found.clone().filter(|_| self.bounces_outstanding == 0)
    }
}

impl<T, M, F> Default for Segment<T, M, F> {
    fn default() -> Self {
        Self {
            unicasts: HashMap::new(),
            ready: VecDeque::new(),
            closed: false,
            multicast: None,
        }
    }
}

impl<T, F> Default for ClientBacklog<T, F> {
    fn default() -> Self {
        Self {
            bounced: VecDeque::new(),
            queued: VecDeque::new(),
            found: None,
            bounces_outstanding: 0,
        }
    }
}

#[cfg(test)]
mod tests;
