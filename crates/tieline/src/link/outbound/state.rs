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
    link::LinkStatus,
    liveness::Liveness,
    queue::{Completions, Queue},
};
use crate::link::{
    codec::{Batch, EncodeRequest},
    outcome::{Completion, NotSent, Outcome},
    proto::{self, OutcomeCode},
    transport::Tasks,
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
pub(super) enum PushOutcome<T> {
    /// The stream to wake, and whether the timer sleeps.
    Queued {
        sender: Option<Waker>,
        idle: bool,
    },
    Refused(T, NotSent),
}

/// What a look at the clock found.
pub(super) struct TickOutcome {
    /// When to look again.
    pub(super) next: Instant,
    pub(super) turned_suspect: bool,
    /// The stream's connection, to be ended.
    pub(super) dead: Option<Tasks>,
    pub(super) sender: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialState {
    Dialling { since: Instant },
    Up,
    Down,
}

pub(super) struct State<T> {
    pub(super) queue: Queue<T>,
    pub(super) liveness: Liveness,
    phase: DialState,
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

impl<T: Completion> State<T> {
    pub(super) fn new(queue_bytes: usize, now: Instant) -> Self {
        Self {
            queue: Queue::new(queue_bytes),
            liveness: Liveness::new(now),
            phase: DialState::Dialling { since: now },
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
        request: &impl EncodeRequest,
        completion: T,
        urgent: bool,
        now: Instant,
    ) -> PushOutcome<T> {
        let is_open = match self.phase {
            DialState::Dialling { since } => now.saturating_duration_since(since) <= DIAL_GRACE,
            DialState::Up => !self.liveness.is_suspect(now),
            DialState::Down => false,
        };
        if !is_open {
            return PushOutcome::Refused(completion, NotSent::Unreachable);
        }
        if let Err(completion) = self.queue.push(request, completion, urgent, now) {
            return PushOutcome::Refused(completion, NotSent::QueueFull);
        }
        PushOutcome::Queued {
            sender: self.sender.take(),
            idle: !std::mem::replace(&mut self.watchful, true),
        }
    }

    /// A dial begins. The first one, and one after a stream that lasted, have posts wait for them.
    pub(super) fn dial(&mut self, now: Instant, posts_wait: bool) -> LinkStatus {
        if posts_wait {
            self.phase = DialState::Dialling { since: now };
            LinkStatus::Dialling
        } else {
            self.phase = DialState::Down;
            LinkStatus::Down
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
        self.phase = DialState::Up;
        self.liveness = Liveness::new(now);
        self.suspect = false;
        self.ping_due = false;
        self.seen = 0;
        self.last_busy = now;
        self.sender.take()
    }

    /// The stream or the dial ended.
    pub(super) fn close(&mut self, completions: &mut Completions<T>) {
        self.phase = DialState::Down;
        self.epoch = 0;
        self.largest = 0;
        self.suspect = false;
        self.connection = None;
        self.sender = None;
        self.queue.lose_sent(completions);
        self.queue.refuse_waiting(completions);
    }

    /// What the stream carries next. `None` ends it: another has come.
    pub(super) fn poll_outgoing(
        &mut self,
        epoch: u64,
        completions: &mut Completions<T>,
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
        let requests = self.queue.take_batch(self.largest, completions);
        let ping = if std::mem::take(&mut self.ping_due) {
            self.ping
        } else {
            0
        };
        if !requests.is_empty() {
            self.liveness.sent(Instant::now());
        }
        let control = proto::RequestBatch {
            ping,
            interest_seen: std::mem::take(&mut self.seen),
            ..proto::RequestBatch::default()
        };
        Poll::Ready(Some(Batch { control, requests }))
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
        self.liveness.heard(now);
        std::mem::take(&mut self.suspect)
    }

    /// Tells the peer at the next occasion which version of its interest we go by.
    pub(super) fn saw(&mut self, version: u64) -> Option<Waker> {
        self.seen = version;
        self.sender.take()
    }

    /// Takes in what the peer has decided; false if it speaks of posts that it was never sent.
    pub(super) fn decide(
        &mut self,
        incoming: proto::ResponseBatch,
        completions: &mut Completions<T>,
    ) -> bool {
        for run in incoming.outcomes {
            for (number, code) in (run.first..).zip(&run.codes) {
                let code = OutcomeCode::try_from(i32::from(*code)).unwrap_or(OutcomeCode::Unknown);
                if self
                    .queue
                    .decide(number, Outcome::Code(code), completions)
                    .is_err()
                {
                    return false;
                }
            }
        }
        for answer in incoming.responses {
            let outcome = match answer.kind {
                Some(proto::response::Kind::Reached(reached)) => Outcome::Reached(reached.into()),
                Some(proto::response::Kind::Listing(listing)) => Outcome::Listing {
                    names: listing.names,
                    more: listing.more,
                },
                None => Outcome::Code(OutcomeCode::Unknown),
            };
            if self
                .queue
                .decide(answer.number, outcome, completions)
                .is_err()
            {
                return false;
            }
        }
        self.queue.tidy();
        true
    }

    /// Looks at the clock: decides what has become too old, and judges the peer's silence.
    pub(super) fn on_tick(
        &mut self,
        now: Instant,
        completions: &mut Completions<T>,
    ) -> TickOutcome {
        let is_up = self.phase == DialState::Up;
        let is_suspect = is_up && self.liveness.is_suspect(now);
        // A peer that answers and yet takes nothing is too slow; one that is silent may be gone.
        let why = if is_up && !self.liveness.is_silent(now) {
            NotSent::QueueFull
        } else {
            NotSent::Unreachable
        };
        self.queue.expire(now, AGE, why, completions);
        let dead = self
            .connection
            .take_if(|_| is_up && self.liveness.is_dead(now));
        let mut sender = None;
        if is_up && self.liveness.wants_ping(now, self.queue.has_sent()) {
            self.ping += 1;
            self.ping_due = true;
            sender = self.sender.take();
        }
        if !self.queue.is_empty() || (is_up && self.liveness.is_waiting()) {
            self.last_busy = now;
        }
        self.watchful = now.saturating_duration_since(self.last_busy) < WATCHFUL;
        let next = match (self.watchful, is_up) {
            (true, _) => now + TICK,
            (false, true) => self.liveness.next_ping().max(now + TICK),
            // Nothing happens until a post is let in or the link is up.
            (false, false) => now + Duration::from_hours(1),
        };
        TickOutcome {
            next,
            turned_suspect: is_suspect && !std::mem::replace(&mut self.suspect, is_suspect),
            dead,
            sender,
        }
    }
}
