//! What a link is doing, under its lock.
//!
//! Owns who may take from the queue and whether posts are let in. Must not wait, and must not tell tickets:
//! it hands them out.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Standing,
    pulse::Pulse,
    queue::{Queue, Told},
};
use crate::link::{
    outcome::{Outcome, Ticket, Unsent},
    posting::{Batch, Posting},
    transport::Tasks,
    wire::{self, Code},
};

/// How long posts are let in to wait for a dial: in a data centre it takes some milliseconds, with TLS some
/// tens.
const DIAL_GRACE: Duration = Duration::from_millis(200);
/// Within a second of its post every ticket has heard. Looked at every [`TICK`].
const AGE: Duration = Duration::from_millis(940);
/// How often a busy link looks at its oldest posts and at its peer's silence.
const TICK: Duration = Duration::from_millis(50);
/// How long a link stays watchful after it was last busy, so that one message at a time does not wake the
/// timer for each.
const WATCHFUL: Duration = Duration::from_secs(1);

/// What became of a push.
pub(super) enum Pushed<T> {
    /// The stream to wake, and whether the timer sleeps.
    Queued {
        sender: Option<Waker>,
        idle: bool,
    },
    Refused(T, Unsent),
}

/// What a look at the clock found.
pub(super) struct Looked {
    /// When to look again.
    pub(super) next: Instant,
    pub(super) turned_suspect: bool,
    /// The stream's connection, to be ended.
    pub(super) dead: Option<Tasks>,
    pub(super) sender: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dialling { since: Instant },
    Up,
    Down,
}

pub(super) struct State<T> {
    pub(super) queue: Queue<T>,
    pub(super) pulse: Pulse,
    phase: Phase,
    suspect: bool,
    /// The stream that may take from the queue, once greeted.
    epoch: u64,
    /// The largest post that the peer reads.
    largest: usize,
    connection: Option<Tasks>,
    /// The task that found nothing to send.
    sender: Option<Waker>,
    /// The last ping, and whether it is not sent yet.
    ping: u64,
    ping_due: bool,
    /// A version of the peer's interest that the peer was not told we go by.
    seen: u64,
    watchful: bool,
    last_busy: Instant,
}

impl<T: Ticket> State<T> {
    pub(super) fn new(queue_bytes: usize, now: Instant) -> Self {
        Self {
            queue: Queue::new(queue_bytes),
            pulse: Pulse::new(now),
            phase: Phase::Dialling { since: now },
            suspect: false,
            epoch: 0,
            largest: 0,
            connection: None,
            sender: None,
            ping: 0,
            ping_due: false,
            seen: 0,
            watchful: false,
            last_busy: now,
        }
    }

    pub(super) fn push(
        &mut self,
        post: &impl Posting,
        ticket: T,
        urgent: bool,
        now: Instant,
    ) -> Pushed<T> {
        let is_open = match self.phase {
            Phase::Dialling { since } => now.saturating_duration_since(since) <= DIAL_GRACE,
            Phase::Up => !self.pulse.is_suspect(now),
            Phase::Down => false,
        };
        if !is_open {
            return Pushed::Refused(ticket, Unsent::Unreachable);
        }
        if let Err(ticket) = self.queue.push(post, ticket, urgent, now) {
            return Pushed::Refused(ticket, Unsent::QueueFull);
        }
        Pushed::Queued {
            sender: self.sender.take(),
            idle: !std::mem::replace(&mut self.watchful, true),
        }
    }

    /// A dial begins. The first one, and one after a stream that lasted, have posts wait for them.
    pub(super) fn dial(&mut self, now: Instant, posts_wait: bool) -> Standing {
        if posts_wait {
            self.phase = Phase::Dialling { since: now };
            Standing::Dialling
        } else {
            self.phase = Phase::Down;
            Standing::Down
        }
    }

    /// A new stream says hello. Only it may take from the queue, once the peer has greeted.
    pub(super) fn open(&mut self, epoch: u64, connection: Tasks) {
        self.epoch = epoch;
        self.largest = 0;
        self.connection = Some(connection);
    }

    /// The peer has greeted, or turned out to be foreign: posts go.
    pub(super) fn greet(&mut self, largest: usize, now: Instant) -> Option<Waker> {
        self.largest = largest;
        self.phase = Phase::Up;
        self.pulse = Pulse::new(now);
        self.suspect = false;
        self.ping_due = false;
        self.seen = 0;
        self.last_busy = now;
        self.sender.take()
    }

    /// The stream or the dial ended.
    pub(super) fn close(&mut self, told: &mut Told<T>) {
        self.phase = Phase::Down;
        self.epoch = 0;
        self.largest = 0;
        self.suspect = false;
        self.connection = None;
        self.sender = None;
        self.queue.lose_sent(told);
        self.queue.refuse_waiting(told);
    }

    /// What the stream carries next. `None` ends it: another has come.
    pub(super) fn poll_outgoing(
        &mut self,
        epoch: u64,
        told: &mut Told<T>,
        cx: &Context<'_>,
    ) -> Poll<Option<Batch>> {
        if self.epoch != epoch {
            return Poll::Ready(None);
        }
        let has_news = self.queue.has_waiting() || self.ping_due || self.seen > 0;
        if self.largest == 0 || !has_news {
            self.park(cx);
            return Poll::Pending;
        }
        let posts = self.queue.take_batch(self.largest, told);
        let ping = if std::mem::take(&mut self.ping_due) {
            self.ping
        } else {
            0
        };
        if !posts.is_empty() {
            self.pulse.sent(Instant::now());
        }
        let beside = wire::Outgoing {
            ping,
            interest_seen: std::mem::take(&mut self.seen),
            ..wire::Outgoing::default()
        };
        Poll::Ready(Some(Batch { beside, posts }))
    }

    /// For a foreign peer: whether there is a post to call for, or a ping.
    pub(super) fn poll_work(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.queue.has_waiting() || self.ping_due {
            return Poll::Ready(());
        }
        self.park(cx);
        Poll::Pending
    }

    pub(super) fn take_ping(&mut self) -> bool {
        std::mem::take(&mut self.ping_due)
    }

    fn park(&mut self, cx: &Context<'_>) {
        if !self
            .sender
            .as_ref()
            .is_some_and(|w| w.will_wake(cx.waker()))
        {
            self.sender = Some(cx.waker().clone());
        }
    }

    /// A sign of life. Whether the link was suspect until now.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.pulse.heard(now);
        std::mem::take(&mut self.suspect)
    }

    /// Tells the peer at the next occasion which version of its interest we go by.
    pub(super) fn saw(&mut self, version: u64) -> Option<Waker> {
        self.seen = version;
        self.sender.take()
    }

    /// Takes in what the peer has decided; false if it speaks of posts that it was never sent.
    pub(super) fn decide(&mut self, incoming: wire::Incoming, told: &mut Told<T>) -> bool {
        for run in incoming.outcomes {
            for (number, code) in (run.first..).zip(&run.codes) {
                let code = Code::try_from(i32::from(*code)).unwrap_or(Code::Unknown);
                if self
                    .queue
                    .decide(number, Outcome::Code(code), told)
                    .is_err()
                {
                    return false;
                }
            }
        }
        for answer in incoming.answers {
            let outcome = match answer.what {
                Some(wire::answer::What::Reached(reached)) => Outcome::Reached(reached.into()),
                Some(wire::answer::What::Listing(listing)) => Outcome::Listing {
                    names: listing.names,
                    more: listing.more,
                },
                None => Outcome::Code(Code::Unknown),
            };
            if self.queue.decide(answer.number, outcome, told).is_err() {
                return false;
            }
        }
        self.queue.tidy();
        true
    }

    /// Looks at the clock: decides what has become too old, and judges the peer's silence.
    pub(super) fn look(&mut self, now: Instant, told: &mut Told<T>) -> Looked {
        let is_up = self.phase == Phase::Up;
        let is_suspect = is_up && self.pulse.is_suspect(now);
        // A peer that answers and yet takes nothing is too slow; one that is silent may be gone.
        let why = if is_up && !self.pulse.is_silent(now) {
            Unsent::QueueFull
        } else {
            Unsent::Unreachable
        };
        self.queue.expire(now, AGE, why, told);
        let dead = self
            .connection
            .take_if(|_| is_up && self.pulse.is_dead(now));
        let mut sender = None;
        if is_up && self.pulse.wants_ping(now, self.queue.has_sent()) {
            self.ping += 1;
            self.ping_due = true;
            sender = self.sender.take();
        }
        if !self.queue.is_empty() || (is_up && self.pulse.is_waiting()) {
            self.last_busy = now;
        }
        self.watchful = now.saturating_duration_since(self.last_busy) < WATCHFUL;
        let next = match (self.watchful, is_up) {
            (true, _) => now + TICK,
            (false, true) => self.pulse.next_ping().max(now + TICK),
            // Nothing happens until a post is let in or the link is up.
            (false, false) => now + Duration::from_hours(1),
        };
        Looked {
            next,
            turned_suspect: is_suspect && !std::mem::replace(&mut self.suspect, is_suspect),
            dead,
            sender,
        }
    }
}
