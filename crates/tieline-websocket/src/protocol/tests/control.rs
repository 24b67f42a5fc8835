//! Sections 5.5.2 and 5.5.3: pings, pongs and the rules of control frames.

use super::*;

#[test]
fn ping_is_answered_with_its_payload() {
    let limits = Limits::default();
    for payload in [&b""[..], b"Hello", &[0xff; 125]] {
        for split in SPLITS {
            let mut protocol = Protocol::new(false);
            assert!(feed(&mut protocol, &limits, &frame(0x89, payload), split).is_empty());
            assert_eq!(protocol.take_pong(), Some(AnyFrame::pong(payload)));
            assert_eq!(protocol.take_pong(), None);
        }
    }
}

#[test]
fn newest_ping_replaces_an_unanswered_one() {
    let mut protocol = Protocol::new(false);
    let bytes = [frame(0x89, b"1"), frame(0x89, b"2"), frame(0x89, b"3")].concat();
    feed(&mut protocol, &Limits::default(), &bytes, usize::MAX);
    assert_eq!(protocol.take_pong(), Some(AnyFrame::pong(b"3")));
    assert_eq!(protocol.take_pong(), None);
}

#[test]
fn a_driver_that_takes_each_pong_answers_every_ping_of_one_read() {
    let mut protocol = Protocol::new(false);
    let mut bytes = [frame(0x89, b"1"), frame(0x89, b"2"), frame(0x89, b"3")].concat();
    let mut rest = &mut bytes[..];
    for payload in [b"1", b"2", b"3"] {
        let received = protocol.receive(&Limits::default(), rest);
        rest = &mut rest[received.consumed..];
        assert_eq!(protocol.take_pong(), Some(AnyFrame::pong(payload)));
    }
    assert!(rest.is_empty());
}

#[test]
fn pong_needs_no_answer() {
    let mut protocol = Protocol::new(false);
    let bytes = frame(0x8a, b"unasked");
    assert!(feed(&mut protocol, &Limits::default(), &bytes, 1).is_empty());
    assert_eq!(protocol.take_pong(), None);
}

#[test]
fn ping_is_answered_while_closing_but_not_after_the_clients_close() {
    let limits = Limits::default();
    let mut protocol = Protocol::new(false);
    assert!(protocol.close(None).is_some());
    feed(&mut protocol, &limits, &frame(0x89, b"1"), 1);
    assert_eq!(protocol.take_pong(), Some(AnyFrame::pong(b"1")));
    let bytes = [frame(0x89, b"2"), frame(0x88, b"")].concat();
    feed(&mut protocol, &limits, &bytes, 1);
    assert_eq!(protocol.take_pong(), None);
}

#[test]
fn fragmented_control_frame_is_refused_at_the_first_byte() {
    for first in [0x08, 0x09, 0x0a] {
        assert_eq!(
            *error_of(&actions(&[first])),
            ProtocolError::FragmentedControl
        );
    }
}

#[test]
fn control_frame_above_125_bytes_is_refused_at_the_second_byte() {
    for first in [0x88, 0x89, 0x8a] {
        for length in [0xfe, 0xff] {
            let error = ProtocolError::ControlTooLong;
            assert_eq!(*error_of(&actions(&[first, length])), error);
        }
    }
}
