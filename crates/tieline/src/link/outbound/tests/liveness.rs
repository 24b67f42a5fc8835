//! Silence and pings.

use super::{super::liveness::Liveness, clock};

#[test]
fn silence_is_measured_from_the_first_thing_unanswered() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert!(!liveness.is_suspect(at(10_000)), "nothing is awaited");
    liveness.on_sent(at(100));
    liveness.on_sent(at(900));
    assert!(!liveness.is_suspect(at(1_099)) && liveness.is_suspect(at(1_100)));
    assert!(!liveness.is_dead(at(5_000)) && liveness.is_dead(at(5_100)));
    liveness.on_received(at(5_200));
    assert!(!liveness.is_suspect(at(9_000)));
}

#[test]
fn pings_are_sent_only_if_something_is_awaited_or_the_link_is_idle() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert!(!liveness.schedule_ping(at(249), true) && !liveness.schedule_ping(at(1_999), false));
    assert!(liveness.schedule_ping(at(250), true));
    assert!(!liveness.schedule_ping(at(900), true), "one at a time");
    assert!(
        liveness.is_suspect(at(1_250)),
        "a ping is awaited as a request is"
    );
}

#[test]
fn a_due_ping_is_taken_once_and_numbered() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert_eq!(liveness.take_ping(at(0)), None);
    for number in 1..=2 {
        let now = at(number * 10_000);
        assert!(liveness.schedule_ping(now, false) && liveness.is_ping_due());
        assert_eq!(liveness.take_ping(at(0)).unwrap().get(), number);
        assert!(!liveness.is_ping_due() && liveness.take_ping(at(0)).is_none());
        liveness.on_received(now);
    }
}

#[test]
fn the_answer_to_the_last_ping_tells_the_round_trip() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert!(liveness.schedule_ping(at(2_000), false));
    liveness.take_ping(at(2_000));
    // No pong, and that of another ping.
    liveness.on_pong(0, at(2_005));
    liveness.on_pong(7, at(2_005));
    assert_eq!(liveness.round_trip(), None);
    liveness.on_pong(1, at(2_010));
    assert_eq!(liveness.round_trip(), Some(at(10) - at(0)));
}

#[test]
fn a_lost_ping_makes_room_for_another() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert!(liveness.schedule_ping(at(250), true));
    liveness.on_ping_lost();
    assert!(liveness.is_ping_due(), "it has not been sent yet");
    liveness.take_ping(at(0));
    liveness.on_ping_lost();
    assert!(liveness.schedule_ping(at(300), true));
}

#[test]
fn a_peer_is_marked_as_suspect_once_until_something_arrives() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    liveness.on_sent(at(0));
    assert!(!liveness.mark_suspect(at(999)));
    assert!(liveness.mark_suspect(at(1_000)) && liveness.is_marked_suspect());
    assert!(!liveness.mark_suspect(at(1_050)));
    assert!(liveness.on_received(at(1_100)) && !liveness.is_marked_suspect());
    assert!(!liveness.on_received(at(1_200)));
}
