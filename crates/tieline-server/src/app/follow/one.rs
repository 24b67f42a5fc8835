//! One follow: the connections that it is about, and what waits to be told of them.
//!
//! Must not know who else follows.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tieline::{CloseReason, Connection, Direction, Observation};
use tokio::time::Instant;

use super::{
    event::{FollowEvent, Origin, What},
    query::FollowQuery,
    report::{FollowSettings, FrameLabel, LABEL_BYTES},
};
use crate::app::{client_data, limits::slow_downs::SlowDowns};

/// Most connections of one follow. More than this many of one user are rare, and each costs memory.
const MAX_CONNECTIONS: usize = 16;

/// Most frames of a connection that wait, and most other events of a follow.
const MAX_WAITING: usize = 256;

/// The shortest time between two events that tell that a client is slowed down: each message may be.
const SLOW_DOWNS_EVERY: Duration = Duration::from_secs(1);

/// About how many frames are told at once. With their payloads they have to fit an answer of a node.
const MAX_TOLD: usize = 128;

pub(super) struct Follow {
    pub(super) query: FollowQuery,
    settings: FollowSettings,
    state: Mutex<State>,
}

struct State {
    followed: Vec<Followed>,
    /// What is no frame.
    notes: VecDeque<(Instant, FollowEvent)>,
    /// Notes that were lost.
    missed: u64,
    /// Events that were told.
    told: u64,
    /// When somebody asked last.
    asked: Instant,
    waker: Option<Waker>,
}

struct Followed {
    connection: Connection,
    observation: Observation,
    /// What the message is that is sent in pieces.
    pieces: FrameLabel,
    /// How it was slowed down when that was last told, or when it was added.
    slowed: Option<SlowDowns>,
    /// When that was last told.
    slowed_told: Option<Instant>,
}

impl Follow {
    pub(super) fn new(query: FollowQuery, settings: FollowSettings) -> Self {
        Self {
            query,
            settings,
            state: Mutex::new(State {
                followed: Vec::new(),
                notes: VecDeque::new(),
                missed: 0,
                told: 0,
                asked: Instant::now(),
                waker: None,
            }),
        }
    }

    /// Adds a connection, unless it is there already.
    pub(super) fn add(&self, connection: &Connection, what: impl FnOnce(Origin) -> What) {
        let mut state = self.state.lock();
        let mut followed = state.followed.iter();
        if followed.any(|followed| followed.connection == *connection) {
            return;
        }
        let what = if state.followed.len() < MAX_CONNECTIONS {
            state.followed.push(Followed {
                connection: connection.clone(),
                observation: connection.observe(MAX_WAITING, LABEL_BYTES),
                pieces: FrameLabel::default(),
                slowed: client_data::slow_downs(connection),
                slowed_told: None,
            });
            what(Origin::of(connection))
        } else {
            What::NotFollowed
        };
        tell(state, connection, what);
    }

    /// Notes what is no frame.
    pub(super) fn note(&self, connection: &Connection, what: What) {
        tell(self.state.lock(), connection, what);
    }

    /// How many connections it is about now, and how many events it has told.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.followed.len() as u64, state.told)
    }

    /// Notes that somebody asks.
    pub(super) fn touch(&self) {
        self.state.lock().asked = Instant::now();
    }

    /// When somebody asked last.
    pub(super) fn asked(&self) -> Instant {
        self.state.lock().asked
    }

    /// The events that wait, in the order in which they happened; ready once there are some.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Vec<FollowEvent>> {
        let mut state = self.state.lock();
        let mut events: Vec<_> = state.notes.drain(..).collect();
        if state.missed > 0 {
            let count = std::mem::take(&mut state.missed);
            let event = FollowEvent::of_node("", What::Missed { count });
            let oldest = events.first().map_or_else(Instant::now, |(at, _)| *at);
            events.insert(0, (oldest, event));
        }
        // A part for each, so that one who sends without a pause does not hide the others.
        let most = MAX_TOLD.div_ceil(state.followed.len().max(1));
        state
            .followed
            .retain_mut(|followed| followed.take(cx, &self.settings, most, &mut events));
        if events.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.told += events.len() as u64;
        drop(state);
        events.sort_by_key(|(at, _)| *at);
        Poll::Ready(events.into_iter().map(|(_, event)| event).collect())
    }
}

impl Followed {
    /// Takes the frames that wait, so many at most; false if the connection has ended.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        settings: &FollowSettings,
        most: usize,
        events: &mut Vec<(Instant, FollowEvent)>,
    ) -> bool {
        events.extend(self.slowed_down());
        let Self {
            connection,
            observation,
            pieces,
            ..
        } = self;
        for _ in 0..most {
            let Poll::Ready(next) = observation.poll_recv(cx) else {
                return true;
            };
            let Some(observed) = next else {
                let now = Instant::now();
                let event = FollowEvent::of(connection, now, closed(connection));
                events.push((now, event));
                return false;
            };
            let at = Instant::from_std(observed.at);
            if observed.missed > 0 {
                // The first piece of a message may be among them.
                *pieces = FrameLabel::default();
                let count = observed.missed;
                events.push((at, FollowEvent::of(connection, at, What::Missed { count })));
            }
            let report = settings.report(connection, &observed, pieces);
            let what = match observed.direction {
                Direction::Received => What::Received(report),
                Direction::Sent => What::Sent(report),
            };
            events.push((at, FollowEvent::of(connection, at, what)));
        }
        true
    }

    /// That the client was slowed down, if it was since that was last told, and that is a while ago.
    fn slowed_down(&mut self) -> Option<(Instant, FollowEvent)> {
        let slowed = client_data::slow_downs(&self.connection)?;
        let is_new = self.slowed.is_none_or(|told| told.times < slowed.times);
        let is_early = self
            .slowed_told
            .is_some_and(|at| at.elapsed() < SLOW_DOWNS_EVERY);
        if !is_new || is_early {
            return None;
        }
        let what = What::slowed_down(&slowed, self.slowed.as_ref());
        self.slowed = Some(slowed);
        self.slowed_told = Some(Instant::now());
        let at = slowed.since;
        Some((at, FollowEvent::of(&self.connection, at, what)))
    }
}

/// Adds a note, and wakes who waits for one.
fn tell(mut state: MutexGuard<'_, State>, connection: &Connection, what: What) {
    if state.notes.len() >= MAX_WAITING {
        state.notes.pop_front();
        state.missed += 1;
    }
    let now = Instant::now();
    let event = FollowEvent::of(connection, now, what);
    state.notes.push_back((now, event));
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Why a connection that has ended was closed.
fn closed(connection: &Connection) -> What {
    let mut reason = std::pin::pin!(connection.closed());
    let mut cx = Context::from_waker(Waker::noop());
    let reason = match reason.as_mut().poll(&mut cx) {
        Poll::Ready(reason) => reason,
        Poll::Pending => CloseReason::Lost(std::io::ErrorKind::NotConnected),
    };
    What::Closed {
        code: reason.code(),
        reason: reason.to_string(),
    }
}
