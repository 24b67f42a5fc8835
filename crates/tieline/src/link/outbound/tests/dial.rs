//! Every event in every state of the dial.

use std::num::NonZeroUsize;

use tokio::time::Instant;

use super::{
    super::{
        dial::{DialState, LinkStatus, PeerKind},
        liveness::Liveness,
    },
    clock, connection,
};
use crate::link::proto;

/// A state by its name; instants and connections aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// A dial for which requests wait.
    Dialing,
    /// A dial for which they do not.
    Redialing,
    Greeting(u64),
    Regreeting(u64),
    UpStream(u64),
    UpUnary,
    /// A unary link whose peer is asked for the stream again.
    UpAsking(u64),
    Down,
    Ended,
}

use Name::*;

const MAX_REQUEST: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
const ALL: [Name; 9] = [
    Dialing,
    Redialing,
    Greeting(1),
    Regreeting(1),
    UpStream(1),
    UpUnary,
    UpAsking(1),
    Down,
    Ended,
];

fn state(name: Name, now: Instant) -> DialState {
    let up = |epoch, peer| DialState::Up {
        epoch,
        connection: connection(),
        peer,
        liveness: Liveness::new(now),
        interest_ack: None,
    };
    let greeting = |epoch, queue_until| DialState::Greeting {
        epoch,
        connection: connection(),
        queue_until,
    };
    match name {
        Dialing => DialState::new(now),
        Redialing => DialState::Dialing { queue_until: None },
        Greeting(epoch) => greeting(epoch, Some(now)),
        Regreeting(epoch) => greeting(epoch, None),
        UpStream(epoch) => up(
            Some(epoch),
            PeerKind::Stream {
                max_request: MAX_REQUEST,
                version: proto::VERSION,
            },
        ),
        UpUnary => up(None, PeerKind::UnaryOnly),
        UpAsking(epoch) => up(Some(epoch), PeerKind::UnaryOnly),
        Down => DialState::Down,
        Ended => DialState::Ended,
    }
}

fn name(state: &DialState) -> Name {
    match state {
        DialState::Dialing { queue_until } => queue_until.map_or(Redialing, |_| Dialing),
        DialState::Greeting {
            epoch, queue_until, ..
        } => queue_until.map_or(Regreeting(*epoch), |_| Greeting(*epoch)),
        DialState::Up { epoch, peer, .. } => match (peer, epoch) {
            (PeerKind::Stream { .. }, Some(epoch)) => UpStream(*epoch),
            (PeerKind::Stream { .. }, None) => panic!("a link with a stream has none"),
            (PeerKind::UnaryOnly, None) => UpUnary,
            (PeerKind::UnaryOnly, Some(epoch)) => UpAsking(*epoch),
        },
        DialState::Down => Down,
        DialState::Ended => Ended,
    }
}

/// Checks the state after an event, for each state before it.
fn check(event: impl Fn(&mut DialState, Instant), after: [Name; 9]) {
    let now = Instant::now();
    for (before, after) in ALL.into_iter().zip(after) {
        let mut state = state(before, now);
        event(&mut state, now);
        assert_eq!(name(&state), after, "from {before:?}");
    }
}

#[test]
fn a_dial_starts_from_a_link_that_is_not_connected() {
    let (greeting, regreeting) = (Greeting(1), Regreeting(1));
    let (stream, unary, asking) = (UpStream(1), UpUnary, UpAsking(1));
    check(
        |state, now| state.on_dial(now, true),
        [
            Dialing, Dialing, greeting, regreeting, stream, unary, asking, Dialing, Ended,
        ],
    );
    check(
        |state, now| state.on_dial(now, false),
        [
            Redialing, Redialing, greeting, regreeting, stream, unary, asking, Redialing, Ended,
        ],
    );
}

#[test]
fn a_connection_leads_to_a_greeting_and_leaves_a_unary_link_up() {
    check(
        |state, _| state.on_connect(2, connection()),
        [
            Greeting(2),
            Regreeting(2),
            Greeting(1),
            Regreeting(1),
            UpStream(1),
            UpAsking(2),
            UpAsking(2),
            Down,
            Ended,
        ],
    );
}

#[test]
fn a_hello_brings_a_greeting_or_a_unary_link_to_a_stream() {
    check(
        |state, now| state.on_hello(MAX_REQUEST, proto::VERSION, now),
        [
            Dialing,
            Redialing,
            UpStream(1),
            UpStream(1),
            UpStream(1),
            UpUnary,
            UpStream(1),
            Down,
            Ended,
        ],
    );
}

#[test]
fn a_peer_without_the_stream_gets_unary_calls() {
    check(
        DialState::on_unary_only,
        [
            Dialing,
            Redialing,
            UpUnary,
            UpUnary,
            UpStream(1),
            UpUnary,
            UpUnary,
            Down,
            Ended,
        ],
    );
}

#[test]
fn a_close_leads_down_and_an_end_is_final() {
    check(
        |state, _| state.on_close(),
        [Down, Down, Down, Down, Down, Down, Down, Down, Ended],
    );
    check(|state, _| state.on_end(), [Ended; 9]);
}

#[test]
fn the_status_derives_from_the_state() {
    use LinkStatus as Status;
    let now = Instant::now();
    let statuses = [
        Status::Dialing,
        Status::Down,
        Status::Dialing,
        Status::Down,
        Status::Up,
        Status::Up,
        Status::Up,
        Status::Down,
        Status::Ended,
    ];
    for (name, status) in ALL.into_iter().zip(statuses) {
        assert_eq!(state(name, now).status(), status, "{name:?}");
    }
}

#[test]
fn requests_are_accepted_for_a_while_during_a_dial_and_while_the_peer_responds() {
    let at = clock();
    let mut dial = DialState::new(at(0));
    assert!(dial.accepts_requests(at(200)) && !dial.accepts_requests(at(201)));
    dial.on_connect(1, connection());
    assert!(dial.accepts_requests(at(200)) && !dial.accepts_requests(at(201)));
    dial.on_hello(MAX_REQUEST, proto::VERSION, at(300));
    assert!(dial.accepts_requests(at(60_000)));
    let liveness = dial.liveness().unwrap();
    liveness.on_sent(at(60_000));
    liveness.mark_suspect(at(61_000));
    assert!(!dial.accepts_requests(at(61_000)));
    assert_eq!(dial.status(), LinkStatus::Suspect);
    for name in [Redialing, Regreeting(1), Down, Ended] {
        assert!(!state(name, at(0)).accepts_requests(at(0)), "{name:?}");
    }
}
