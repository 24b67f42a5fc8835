//! The state of a link, behind its lock.
//!
//! Owns which requests are accepted, which stream takes them, and when the peer counts as silent. Must not
//! wait, complete requests or wake tasks: it collects these [`Effects`] for
//! [`Shared::with_state`](super::shared::Shared::with_state).

use std::{
    num::{NonZeroU64, NonZeroUsize},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    dial::{DialState, LinkStatus, PeerKind},
    queue::{Completions, Priority, RequestQueue, UnknownNumber},
};
use crate::link::{
    codec::{Batch, EncodeRequest},
    outcome::{self, Completion, NotSent, Outcome},
    proto::{self, OutcomeCode, RequestKind},
    transport::Tasks,
};

/// A request without outcome is decided at this age: within a second, given that ages are checked every
/// [`TICK`].
const REQUEST_TIMEOUT: Duration = Duration::from_millis(940);
/// How often an active link checks the age of its requests and the silence of its peer.
const TICK: Duration = Duration::from_millis(50);
/// How long a link keeps ticking after it was last active, so that sending one message at a time does not
/// start the timer for each.
const TICK_LINGER: Duration = Duration::from_secs(1);

/// What waits for a peer, and how far it is.
pub(crate) struct LinkLoad {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Of the last ping that was answered.
    pub(crate) round_trip: Option<Duration>,
}

pub(super) struct State<T> {
    dial: DialState,
    queue: RequestQueue<T>,
    /// The task that has nothing to send.
    parked: Option<Waker>,
    /// Whether the timer ticks.
    is_ticking: bool,
    /// When the next tick is due.
    next_tick: Option<Instant>,
    last_active: Instant,
    /// The status last published.
    published: LinkStatus,
    wake: Option<Waker>,
    start_timer: bool,
    abort: Option<Tasks>,
}

/// What is to be done once the lock is released.
pub(super) struct Effects<T> {
    pub(super) completions: Completions<T>,
    /// The task that sends.
    pub(super) wake: Option<Waker>,
    pub(super) start_timer: bool,
    /// The connection to a dead peer.
    pub(super) abort: Option<Tasks>,
}

/// The result of a tick.
pub(super) struct TickOutcome {
    pub(super) next: Instant,
    /// Whether the peer counts as silent from now on.
    pub(super) became_suspect: bool,
}

impl<T: Completion> State<T> {
    pub(super) fn new(queue_bytes: usize, now: Instant) -> Self {
        let dial = DialState::new(now);
        Self {
            published: dial.status(),
            dial,
            queue: RequestQueue::new(queue_bytes),
            parked: None,
            is_ticking: false,
            next_tick: None,
            last_active: now,
            wake: None,
            start_timer: false,
            abort: None,
        }
    }

    pub(super) fn status(&self) -> LinkStatus {
        self.dial.status()
    }

    /// The status, if it has changed since the last call.
    pub(super) fn take_status_change(&mut self) -> Option<LinkStatus> {
        let status = self.dial.status();
        let is_new = std::mem::replace(&mut self.published, status) != status;
        is_new.then_some(status)
    }

    pub(super) fn take_effects(&mut self) -> Effects<T> {
        Effects {
            completions: self.queue.take_completions(),
            wake: self.wake.take(),
            start_timer: std::mem::take(&mut self.start_timer),
            abort: self.abort.take(),
        }
    }

    /// Takes back an empty buffer for completions.
    pub(super) fn reuse(&mut self, completions: Completions<T>) {
        self.queue.reuse(completions);
    }

    /// Queues a request, or gives its completion back.
    pub(super) fn push(
        &mut self,
        request: &impl EncodeRequest,
        completion: T,
        priority: Priority,
        now: Instant,
    ) -> Result<(), (T, NotSent)> {
        if !self.dial.accepts_requests(now) {
            return Err((completion, NotSent::Unreachable));
        }
        if !request.namespace().is_empty() && !self.dial.may_know_namespaces() {
            return Err((completion, NotSent::NoNamespaces));
        }
        self.queue.push(request, completion, priority, now)?;
        self.wake_sender();
        if !std::mem::replace(&mut self.is_ticking, true) {
            self.start_timer = true;
            let next = now + TICK;
            self.next_tick = Some(self.next_tick.map_or(next, |due| due.min(next)));
        }
        Ok(())
    }

    pub(super) fn on_dial(&mut self, now: Instant, queues_requests: bool) {
        self.dial.on_dial(now, queues_requests);
    }

    pub(super) fn on_connect(&mut self, epoch: u64, connection: Tasks) {
        self.dial.on_connect(epoch, connection);
    }

    pub(super) fn on_hello(&mut self, max_request: NonZeroUsize, version: u32, now: Instant) {
        self.dial.on_hello(max_request, version, now);
        self.on_up(now);
    }

    pub(super) fn on_unary_only(&mut self, now: Instant) {
        self.dial.on_unary_only(now);
        self.on_up(now);
    }

    fn on_up(&mut self, now: Instant) {
        self.last_active = now;
        if !self.dial.may_know_namespaces() {
            self.queue.drop_namespaced();
        }
        // The timer sleeps while the link is not up.
        self.start_timer = true;
        self.wake_sender();
    }

    /// The dial failed, or the connection ended.
    pub(super) fn on_close(&mut self) {
        self.dial.on_close();
        self.fail_all();
    }

    /// The link is ended for good. It refuses requests as one that is down does.
    pub(super) fn on_end(&mut self) {
        self.dial.on_end();
        self.fail_all();
    }

    fn fail_all(&mut self) {
        self.parked = None;
        self.queue.fail_sent();
        self.queue.fail_waiting();
    }

    /// The next message of the stream of this epoch. `None` ends it: the link has another stream, or none.
    pub(super) fn poll_batch(
        &mut self,
        stream: u64,
        now: Instant,
        cx: &Context<'_>,
    ) -> Poll<Option<Batch>> {
        match &mut self.dial {
            DialState::Up {
                epoch,
                peer: PeerKind::Stream { max_request, .. },
                liveness,
                interest_ack,
                ..
            } if *epoch == Some(stream) => {
                let has_control = liveness.is_ping_due() || interest_ack.is_some();
                if self.queue.has_waiting() || has_control {
                    let requests = self.queue.take_batch(max_request.get());
                    if !requests.is_empty() {
                        liveness.on_sent(now);
                    }
                    let control = proto::RequestBatch {
                        ping: liveness.take_ping(now).map_or(0, NonZeroU64::get),
                        interest_ack: interest_ack.take().map_or(0, NonZeroU64::get),
                        ..proto::RequestBatch::default()
                    };
                    return Poll::Ready(Some(Batch { control, requests }));
                }
            }
            DialState::Up { epoch, .. } if *epoch == Some(stream) => {}
            DialState::Greeting { epoch, .. } if *epoch == stream => {}
            _ => return Poll::Ready(None),
        }
        self.park(cx);
        Poll::Pending
    }

    /// For the unary client: ready when there is a request to call for, or a ping.
    pub(super) fn poll_unary(&mut self, cx: &Context<'_>) -> Poll<()> {
        let is_ping_due = self.dial.liveness().is_some_and(|l| l.is_ping_due());
        if self.queue.has_waiting() || is_ping_due {
            return Poll::Ready(());
        }
        self.park(cx);
        Poll::Pending
    }

    /// For the unary client: whether to send a ping now.
    pub(super) fn take_ping(&mut self, now: Instant) -> bool {
        let liveness = self.dial.liveness();
        liveness.is_some_and(|liveness| liveness.take_ping(now).is_some())
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.queue.has_waiting()
    }

    /// The client to which the next request sends, if that is an emit.
    pub(super) fn next_recipient(&self) -> Option<&[u8]> {
        self.queue.next_recipient()
    }

    /// For the unary client: takes the next request, with the time at which it was queued.
    pub(super) fn take_request(&mut self, now: Instant) -> Option<(RequestKind, T, Instant)> {
        let next = self.queue.take_request()?;
        if let Some(liveness) = self.dial.liveness() {
            liveness.on_sent(now);
        }
        Some(next)
    }

    fn park(&mut self, cx: &Context<'_>) {
        let parked = self.parked.as_ref();
        if !parked.is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.parked = Some(cx.waker().clone());
        }
    }

    fn wake_sender(&mut self) {
        self.wake = self.parked.take().or(self.wake.take());
    }

    /// How many requests and bytes wait, and how long a ping takes.
    pub(super) fn load(&mut self) -> LinkLoad {
        let (requests, bytes) = self.queue.waiting();
        let liveness = self.dial.liveness();
        LinkLoad {
            requests,
            bytes,
            round_trip: liveness.and_then(|liveness| liveness.round_trip()),
        }
    }

    pub(super) fn on_pong(&mut self, number: u64, now: Instant) {
        if let Some(liveness) = self.dial.liveness() {
            liveness.on_pong(number, now);
        }
    }

    /// Something arrived. Returns whether the peer was suspect until now.
    pub(super) fn on_received(&mut self, now: Instant) -> bool {
        let liveness = self.dial.liveness();
        liveness.is_some_and(|liveness| liveness.on_received(now))
    }

    /// A unary call was not answered.
    pub(super) fn on_call_lost(&mut self) {
        if let Some(liveness) = self.dial.liveness() {
            liveness.on_ping_lost();
        }
    }

    /// Acknowledges at the next opportunity that this version of the peer's interest has been applied.
    pub(super) fn acknowledge_interest(&mut self, version: NonZeroU64) {
        if let DialState::Up { interest_ack, .. } = &mut self.dial {
            *interest_ack = Some(version);
            self.wake_sender();
        }
    }

    /// Decides the requests that a message answers.
    pub(super) fn on_outcomes(
        &mut self,
        message: proto::ResponseBatch,
    ) -> Result<(), UnknownNumber> {
        for run in message.outcomes {
            for (number, code) in (run.first..).zip(&run.codes) {
                self.queue
                    .decide(number, Outcome::Code(outcome::code(*code)))?;
            }
        }
        for response in message.responses {
            let outcome = match response.kind {
                Some(proto::response::Kind::Reached(reached)) => Outcome::Reached(reached.into()),
                Some(proto::response::Kind::Listing(listing)) => Outcome::Listing {
                    names: listing.names,
                    more: listing.more,
                },
                Some(proto::response::Kind::Counts(counts)) => Outcome::Counts(counts.into()),
                Some(proto::response::Kind::Codes(codes)) => Outcome::Codes(codes.codes),
                // Whoever waits for it has it already; it says too that the request was received.
                Some(proto::response::Kind::Answer(_) | proto::response::Kind::Report(_)) => {
                    Outcome::Code(OutcomeCode::Delivered)
                }
                None => Outcome::Code(OutcomeCode::Unknown),
            };
            self.queue.decide(response.number, outcome)?;
        }
        self.queue.trim();
        Ok(())
    }

    /// Decides requests that are too old, and judges the silence of the peer.
    pub(super) fn on_tick(&mut self, now: Instant) -> TickOutcome {
        if let (Some(due), Some(liveness)) = (self.next_tick, self.dial.liveness()) {
            liveness.on_delay(now.saturating_duration_since(due), now);
        }
        let why = self.why_not_sent(now);
        self.queue.expire(now, REQUEST_TIMEOUT, why);
        let became_suspect = self.check_liveness(now);
        let is_awaiting = self.dial.liveness().is_some_and(|l| l.is_awaiting());
        if is_awaiting || !self.queue.is_empty() {
            self.last_active = now;
        }
        self.is_ticking = now.saturating_duration_since(self.last_active) < TICK_LINGER;
        let next = match self.dial.liveness() {
            _ if self.is_ticking => now + TICK,
            Some(liveness) => liveness.next_ping().max(now + TICK),
            // Nothing happens until a request is queued or the link is up.
            None => now + Duration::from_hours(1),
        };
        self.next_tick = Some(next);
        TickOutcome {
            next,
            became_suspect,
        }
    }

    /// Why requests wait too long: a peer that responds but accepts nothing is too slow; a silent one may be
    /// gone.
    pub(super) fn why_not_sent(&mut self, now: Instant) -> NotSent {
        match self.dial.liveness() {
            Some(liveness) if !liveness.is_unresponsive(now) => NotSent::QueueFull,
            _ => NotSent::Unreachable,
        }
    }

    /// Returns whether the peer is suspect from now on.
    fn check_liveness(&mut self, now: Instant) -> bool {
        let DialState::Up {
            liveness,
            connection,
            ..
        } = &mut self.dial
        else {
            return false;
        };
        if liveness.is_dead(now) {
            self.abort = Some(connection.clone());
        }
        let became_suspect = liveness.mark_suspect(now);
        if liveness.schedule_ping(now, self.queue.has_sent()) {
            self.wake_sender();
        }
        became_suspect
    }
}
