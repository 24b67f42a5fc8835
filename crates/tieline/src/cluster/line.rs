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
pub(super) struct Line<T, M, F> {
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
    ones: HashMap<Arc<str>, Waiting<T, F>>,
    /// Clients whose messages may go, or have just gone.
    settled: VecDeque<Arc<str>>,
    /// Whether a message to many ends it, and that message until it leaves.
    closed: bool,
    many: Option<M>,
}

#[derive(Debug)]
struct Waiting<T, F> {
    /// What came back, in order; it goes first.
    returned: VecDeque<(T, usize)>,
    added: VecDeque<(T, usize)>,
    found: Option<F>,
    /// Nodes from which more may come back.
    returning: usize,
}

/// What became of an addition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added<T> {
    /// It waits, and its route is to be looked up.
    Look,
    /// It waits.
    Waits,
    /// Nothing is before it: it may go.
    Free(T),
    /// Too much waits.
    Full(T),
}

/// What may go now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ready<T, M, F> {
    Ones(Vec<T>, F),
    Many(M),
}

impl<T, M, F: Clone> Line<T, M, F> {
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
    pub(super) fn waits(&self, id: &str) -> bool {
        if self.is_idle() {
            return false;
        }
        let state = self.state.lock();
        let mut segments = state.segments.iter();
        segments.any(|segment| segment.ones.contains_key(id))
    }

    /// Adds a message to one; `routed` says whether its route is known.
    pub(super) fn add(&self, id: &Arc<str>, one: T, bytes: usize, routed: bool) -> Added<T> {
        let mut state = self.state.lock();
        if routed && state.is_free(id) {
            return Added::Free(one);
        }
        let fits = state.count == 0 || (state.count < MOST && state.bytes + bytes <= self.bytes);
        if !fits {
            return Added::Full(one);
        }
        (state.count, state.bytes) = (state.count + 1, state.bytes + bytes);
        let segment = state.last();
        let fresh = !segment.ones.contains_key(id);
        let waiting = segment.ones.entry(Arc::clone(id)).or_default();
        waiting.added.push_back((one, bytes));
        self.segments.store(state.segments.len(), Ordering::Release);
        if fresh { Added::Look } else { Added::Waits }
    }

    /// Adds a message that came back from a node where its client is not. Until
    /// [`Line::returned_all`], more may come back from there. Its route is to be looked up anew.
    pub(super) fn add_returned(&self, id: &Arc<str>, one: T, bytes: usize) -> bool {
        let mut state = self.state.lock();
        (state.count, state.bytes) = (state.count + 1, state.bytes + bytes);
        if state.segments.is_empty() {
            state.segments.push_back(Segment::default());
        }
        let waiting = state.segments[0].ones.entry(Arc::clone(id)).or_default();
        // One look-up and one marker serve all that come back together.
        let first = waiting.returning == 0 || waiting.found.is_some();
        waiting.returned.push_back((one, bytes));
        waiting.found = None;
        waiting.returning += usize::from(first);
        self.segments.store(state.segments.len(), Ordering::Release);
        first
    }

    /// Takes out those that came back and are `late`: a message sent after them was delivered meanwhile.
    pub(super) fn overtaken(&self, id: &str, late: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let front = state.segments.front_mut();
        let Some(waiting) = front.and_then(|segment| segment.ones.get_mut(id)) else {
            return Vec::new();
        };
        let returned = std::mem::take(&mut waiting.returned).into_iter();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = returned.partition(|(one, _)| late(one));
        waiting.returned = kept;
        state.count -= gone.len();
        state.bytes -= gone.iter().map(|(_, bytes)| bytes).sum::<usize>();
        gone.into_iter().map(|(one, _)| one).collect()
    }

    /// From here on messages to a client wait until [`Line::returned_all`], and for a look-up: some may
    /// come back from a node that it left.
    pub(super) fn await_returns(&self, id: &Arc<str>) {
        let mut state = self.state.lock();
        if state.segments.is_empty() {
            state.segments.push_back(Segment::default());
        }
        let waiting = state.segments[0].ones.entry(Arc::clone(id)).or_default();
        waiting.found = None;
        waiting.returning += 1;
        self.segments.store(state.segments.len(), Ordering::Release);
    }

    /// Nothing more comes back from a node.
    pub(super) fn returned_all(&self, id: &str) {
        let mut state = self.state.lock();
        if let Some(segment) = state.segments.front_mut()
            && let Some(waiting) = segment.ones.get_mut(id)
        {
            waiting.returning = waiting.returning.saturating_sub(1);
            segment.settle(id);
        }
    }

    /// Adds a message to many; gives it back if nothing is before it.
    pub(super) fn add_many(&self, many: M) -> Option<M> {
        let mut state = self.state.lock();
        if state.segments.is_empty() {
            return Some(many);
        }
        let segment = state.last();
        (segment.closed, segment.many) = (true, Some(many));
        self.segments.store(state.segments.len(), Ordering::Release);
        None
    }

    /// A look-up ended.
    pub(super) fn found(&self, id: &str, found: &F) {
        let mut state = self.state.lock();
        for segment in &mut state.segments {
            if let Some(waiting) = segment.ones.get_mut(id) {
                waiting.found.get_or_insert_with(|| found.clone());
                segment.settle(id);
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
            1 => !self.segments[0].closed && !self.segments[0].ones.contains_key(id),
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
            while let Some(id) = segment.settled.pop_front() {
                let Some(waiting) = segment.ones.get_mut(&id) else {
                    continue;
                };
                let Some(found) = waiting.settled() else {
                    continue;
                };
                if waiting.is_empty() {
                    segment.ones.remove(&id);
                    continue;
                }
                let mut ones = Vec::new();
                for (one, bytes) in waiting.returned.drain(..).chain(waiting.added.drain(..)) {
                    (self.count, self.bytes) = (self.count - 1, self.bytes - bytes);
                    ones.push(one);
                }
                segment.settled.push_front(id);
                return Some(Ready::Ones(ones, found));
            }
            if !segment.ones.is_empty() {
                return None;
            }
            if let Some(many) = segment.many.take() {
                return Some(Ready::Many(many));
            }
            self.segments.pop_front();
        }
    }
}

impl<T, M, F: Clone> Segment<T, M, F> {
    /// Lists a client if its messages may go.
    fn settle(&mut self, id: &str) {
        if let Some((id, waiting)) = self.ones.get_key_value(id)
            && waiting.settled().is_some()
        {
            self.settled.push_back(Arc::clone(id));
        }
    }
}

impl<T, F: Clone> Waiting<T, F> {
    fn is_empty(&self) -> bool {
        self.returned.is_empty() && self.added.is_empty()
    }

    /// What was found, once nothing more comes back.
    fn settled(&self) -> Option<F> {
        self.found.clone().filter(|_| self.returning == 0)
    }
}

impl<T, M, F> Default for Segment<T, M, F> {
    fn default() -> Self {
        Self {
            ones: HashMap::new(),
            settled: VecDeque::new(),
            closed: false,
            many: None,
        }
    }
}

impl<T, F> Default for Waiting<T, F> {
    fn default() -> Self {
        Self {
            returned: VecDeque::new(),
            added: VecDeque::new(),
            found: None,
            returning: 0,
        }
    }
}

#[cfg(test)]
mod tests;
