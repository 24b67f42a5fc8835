//! The state of a link: who may take requests, and what a tick does.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use tokio::time::Instant;

use super::{
    super::{dial::LinkStatus, queue::Priority, state::State},
    DELIVERED, clock, connection, emit,
};
use crate::link::{
    codec::Batch,
    outcome::{NotSent, Outcome},
    proto,
};

fn new(now: Instant) -> State<u64> {
    State::new(1 << 20, now)
}

/// A waker unlike that of the streams.
struct UnaryClient;

impl Wake for UnaryClient {
    fn wake(self: Arc<Self>) {}
}

/// A link that is up with the stream of epoch 1.
fn up(now: Instant) -> State<u64> {
    let mut state = new(now);
    state.on_connect(1, connection());
    state.on_hello(NonZeroUsize::MAX, proto::VERSION, now);
    state.take_effects();
    state
}

fn push(state: &mut State<u64>, completion: u64, now: Instant) -> Result<(), NotSent> {
    state
        .push(&emit(1), completion, Priority::Normal, now)
        .map_err(|(_, why)| why)
}

fn poll(state: &mut State<u64>, stream: u64, now: Instant) -> Poll<Option<Batch>> {
    state.poll_batch(stream, now, &Context::from_waker(Waker::noop()))
}

/// Ticks that are on time; returns whether the peer became suspect.
fn ticks(state: &mut State<u64>, at: &impl Fn(u64) -> Instant, from: u64, to: u64) -> bool {
    let times = (from..=to).step_by(50);
    times
        .filter(|n| state.on_tick(at(*n)).became_suspect)
        .count()
        > 0
}

fn outcome(number: u64) -> proto::ResponseBatch {
    proto::ResponseBatch {
        outcomes: vec![proto::Outcomes {
            first: number,
            codes: vec![0].into(),
        }],
        ..proto::ResponseBatch::default()
    }
}

#[test]
fn only_the_current_stream_takes_requests_and_only_after_the_hello() {
    let at = clock();
    let mut state = new(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(matches!(poll(&mut state, 1, at(0)), Poll::Ready(None)));
    state.on_connect(1, connection());
    assert!(poll(&mut state, 1, at(0)).is_pending(), "no hello yet");
    state.on_hello(NonZeroUsize::MAX, proto::VERSION, at(0));
    let effects = state.take_effects();
    assert!(effects.wake.is_some() && effects.start_timer);
    assert!(matches!(poll(&mut state, 2, at(0)), Poll::Ready(None)));
    let Poll::Ready(Some(batch)) = poll(&mut state, 1, at(0)) else {
        panic!("the request is taken")
    };
    assert!(!batch.requests.is_empty());
    assert!(poll(&mut state, 1, at(0)).is_pending(), "nothing is left");
}

#[test]
fn outcomes_complete_requests_and_unknown_numbers_are_refused() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(poll(&mut state, 1, at(0)).is_ready());
    state.on_outcomes(outcome(0)).unwrap();
    assert_eq!(state.take_effects().completions, [(7, DELIVERED)]);
    state.on_outcomes(outcome(1)).unwrap_err();
}

#[test]
fn a_unary_link_stays_up_while_its_peer_is_asked_again() {
    let at = clock();
    let mut state = new(at(0));
    state.on_connect(1, connection());
    state.on_unary_only(at(0));
    assert_eq!(state.take_status_change(), Some(LinkStatus::Up));
    push(&mut state, 7, at(0)).unwrap();
    assert!(state.take_request(at(0)).is_some());
    state.on_connect(2, connection());
    assert_eq!(state.take_status_change(), None);
    push(&mut state, 8, at(10)).unwrap();
    assert!(poll(&mut state, 2, at(10)).is_pending(), "no hello yet");
    state.on_hello(NonZeroUsize::MAX, proto::VERSION, at(20));
    assert!(poll(&mut state, 2, at(20)).is_ready());
}

#[test]
fn a_refused_stream_takes_nothing_from_the_unary_client() {
    let at = clock();
    let mut state = new(at(0));
    state.on_connect(1, connection());
    assert!(poll(&mut state, 1, at(0)).is_pending(), "no hello yet");
    state.on_unary_only(at(0));
    state.take_effects();
    let waker = Waker::from(Arc::new(UnaryClient));
    assert!(state.poll_unary(&Context::from_waker(&waker)).is_pending());
    assert!(matches!(poll(&mut state, 1, at(0)), Poll::Ready(None)));
    push(&mut state, 7, at(0)).unwrap();
    let woken = state.take_effects().wake;
    assert!(woken.is_some_and(|woken| woken.will_wake(&waker)));
}

#[test]
fn a_silent_peer_becomes_suspect_is_pinged_and_is_aborted() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(poll(&mut state, 1, at(0)).is_ready());
    assert!(!ticks(&mut state, &at, 50, 300));
    let Poll::Ready(Some(ping)) = poll(&mut state, 1, at(300)) else {
        panic!("a ping is due")
    };
    assert_eq!(ping.control.ping, 1);
    assert!(!ticks(&mut state, &at, 350, 950) && ticks(&mut state, &at, 1_000, 1_000));
    assert_eq!(state.take_status_change(), Some(LinkStatus::Suspect));
    assert_eq!(
        state.take_effects().completions,
        [(7, Outcome::Unknown)],
        "too old"
    );
    assert_eq!(push(&mut state, 8, at(1_000)), Err(NotSent::Unreachable));
    assert!(!ticks(&mut state, &at, 1_050, 5_000), "reported once");
    assert!(state.take_effects().abort.is_some());
    assert!(state.on_received(at(5_010)));
    assert_eq!(state.take_status_change(), Some(LinkStatus::Up));
}

#[test]
fn a_pause_of_this_process_is_no_silence_of_its_peer() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(poll(&mut state, 1, at(0)).is_ready());
    assert!(!ticks(&mut state, &at, 50, 300));
    // Before and after the first tick: what has arrived since then has not been read yet.
    push(&mut state, 8, at(10_000)).unwrap();
    assert!(!ticks(&mut state, &at, 10_000, 10_000));
    assert!(state.take_effects().abort.is_none());
    push(&mut state, 9, at(10_000)).unwrap();
    // The peer has been silent for 0.35 s, and still is.
    assert!(!ticks(&mut state, &at, 10_050, 10_600) && ticks(&mut state, &at, 10_650, 10_650));
    assert_eq!(push(&mut state, 10, at(10_650)), Err(NotSent::Unreachable));
}

#[test]
fn a_busy_process_finds_a_dead_peer_too() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(poll(&mut state, 1, at(0)).is_ready());
    // Each tick comes 0.4 s late. The first of these delays is excused.
    let (mut suspect, mut cut) = (None, None);
    for time in (450..).step_by(450).take(20) {
        if state.on_tick(at(time)).became_suspect {
            suspect = Some(time);
        }
        if state.take_effects().abort.is_some() {
            cut = cut.or(Some(time));
        }
    }
    assert_eq!((suspect, cut), (Some(1800), Some(5400)));
}

#[test]
fn requests_that_wait_too_long_are_not_sent_and_say_why() {
    let at = clock();
    let mut slow = up(at(0));
    push(&mut slow, 7, at(0)).unwrap();
    slow.on_tick(at(940));
    let too_slow = Outcome::NotSent(NotSent::QueueFull);
    assert_eq!(slow.take_effects().completions, [(7, too_slow)]);
    let mut dialing = new(at(0));
    push(&mut dialing, 7, at(0)).unwrap();
    dialing.on_tick(at(940));
    let unreachable = Outcome::NotSent(NotSent::Unreachable);
    assert_eq!(dialing.take_effects().completions, [(7, unreachable)]);
}

#[test]
fn an_acknowledgement_is_sent_once_and_not_on_the_next_stream() {
    let at = clock();
    let mut state = up(at(0));
    assert!(poll(&mut state, 1, at(0)).is_pending());
    state.acknowledge_interest(NonZeroU64::new(5).unwrap());
    assert!(state.take_effects().wake.is_some());
    let Poll::Ready(Some(batch)) = poll(&mut state, 1, at(0)) else {
        panic!("the acknowledgement is sent")
    };
    assert_eq!(batch.control.interest_ack, 5);
    assert!(poll(&mut state, 1, at(0)).is_pending());
    state.acknowledge_interest(NonZeroU64::new(6).unwrap());
    state.on_close();
    state.on_dial(at(10), true);
    state.on_connect(2, connection());
    state.on_hello(NonZeroUsize::MAX, proto::VERSION, at(10));
    assert!(poll(&mut state, 2, at(10)).is_pending());
}

#[test]
fn the_timer_runs_while_the_link_is_active_and_starts_once() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(state.take_effects().start_timer);
    push(&mut state, 8, at(0)).unwrap();
    assert!(!state.take_effects().start_timer, "it runs already");
    assert_eq!(state.on_tick(at(50)).next, at(100));
    assert!(poll(&mut state, 1, at(60)).is_ready());
    state.on_received(at(70));
    state.on_outcomes(outcome(0)).unwrap();
    state.on_outcomes(outcome(1)).unwrap();
    assert_eq!(state.on_tick(at(1_000)).next, at(1_050), "it lingers");
    assert_eq!(state.on_tick(at(1_050)).next, at(2_070), "the next ping");
}

#[test]
fn an_ended_link_refuses_and_decides_everything_and_stays_ended() {
    let at = clock();
    let mut state = up(at(0));
    push(&mut state, 7, at(0)).unwrap();
    assert!(poll(&mut state, 1, at(0)).is_ready());
    push(&mut state, 8, at(0)).unwrap();
    state.on_end();
    let unreachable = Outcome::NotSent(NotSent::Unreachable);
    assert_eq!(
        state.take_effects().completions,
        [(7, Outcome::Unknown), (8, unreachable)]
    );
    assert_eq!(push(&mut state, 9, at(0)), Err(NotSent::Unreachable));
    state.on_dial(at(10), true);
    state.on_received(at(10));
    assert_eq!(state.status(), LinkStatus::Ended);
}
