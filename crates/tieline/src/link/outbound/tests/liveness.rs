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
    assert_eq!(liveness.take_ping(), None);
    for number in 1..=2 {
        let now = at(number * 10_000);
        assert!(liveness.schedule_ping(now, false) && liveness.is_ping_due());
        assert_eq!(liveness.take_ping().unwrap().get(), number);
        assert!(!liveness.is_ping_due() && liveness.take_ping().is_none());
        liveness.on_received(now);
    }
}

#[test]
fn a_lost_ping_makes_room_for_another() {
    let at = clock();
    let mut liveness = Liveness::new(at(0));
    assert!(liveness.schedule_ping(at(250), true));
    liveness.on_ping_lost();
    assert!(liveness.is_ping_due(), "it has not been sent yet");
    liveness.take_ping();
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
