//! Section 5.4: fragmentation.

use super::*;

#[test]
fn fragments_make_one_message() {
    let bytes = [frame(0x01, b"Hel"), frame(0x80, b"lo")].concat();
    assert_eq!(actions(&bytes), [text("Hello")]);
    let bytes = [frame(0x02, b""), frame(0x00, b"\xff"), frame(0x80, b"")].concat();
    assert_eq!(actions(&bytes), [binary(b"\xff")]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let limits = Limits::default();
    let bytes = [
        frame(0x01, b"Hel"),
        frame(0x89, b"?"),
        frame(0x8a, b""),
        frame(0x80, b"lo"),
    ]
    .concat();
    for split in SPLITS {
        let mut protocol = Protocol::new(false);
        let actions = feed(&mut protocol, &limits, &bytes, split);
        assert_eq!(actions, [text("Hello")]);
        assert_eq!(protocol.take_pong(), Some(AnyFrame::pong(b"?")));
    }
}

#[test]
fn close_may_come_between_fragments() {
    let bytes = [frame(0x01, b"Hel"), frame(0x88, b"")].concat();
    let [Action::Close { received: None, .. }] = &actions(&bytes)[..] else {
        panic!("no close");
    };
}

#[test]
fn continuation_without_a_message_is_refused() {
    let error = ProtocolError::UnexpectedContinuation;
    for first in [0x00, 0x80] {
        assert_eq!(*error_of(&actions(&[first])), error);
        let bytes = [frame(0x81, b"done"), vec![first]].concat();
        assert_eq!(*error_of(&actions(&bytes)), error);
        let bytes = [frame(0x01, b"do"), frame(0x80, b"ne"), vec![first]].concat();
        assert_eq!(*error_of(&actions(&bytes)), error);
    }
}

#[test]
fn new_message_within_a_message_is_refused() {
    for first in [0x01, 0x81, 0x02, 0x82] {
        let bytes = [frame(0x01, b"a"), vec![first]].concat();
        assert_eq!(
            *error_of(&actions(&bytes)),
            ProtocolError::UnfinishedMessage
        );
    }
}

#[test]
fn fragmented_message_is_reported_between_its_frames() {
    let limits = Limits::default();
    let mut protocol = Protocol::new(false);
    feed(&mut protocol, &limits, &frame(0x01, b"a"), usize::MAX);
    assert!(protocol.in_message());
    feed(&mut protocol, &limits, &frame(0x89, b""), usize::MAX);
    assert!(protocol.in_message());
    feed(&mut protocol, &limits, &frame(0x80, b"b"), usize::MAX);
    assert!(!protocol.in_message());
}
