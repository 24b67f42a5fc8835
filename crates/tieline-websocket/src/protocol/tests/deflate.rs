//! RFC 7692, sections 6 and 7.2, at the level of frames.

use super::*;

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn inflating(bytes: &[u8]) -> Vec<Action> {
    run(true, &Limits::default(), bytes)
}

#[test]
fn examples_of_section_7_2_3_1() {
    assert_eq!(inflating(&frame(0xc1, &HELLO)), [text("Hello")]);
    let bytes = [frame(0x41, &HELLO[..3]), frame(0x80, &HELLO[3..])].concat();
    assert_eq!(inflating(&bytes), [text("Hello")]);
}

#[test]
fn fragments_may_end_anywhere_with_control_frames_in_between() {
    for at in 0..=HELLO.len() {
        let bytes = [
            frame(0x42, &HELLO[..at]),
            frame(0x89, b"plain"),
            frame(0x00, b""),
            frame(0x80, &HELLO[at..]),
        ]
        .concat();
        assert_eq!(inflating(&bytes), [binary(b"Hello")]);
    }
}

#[test]
fn plain_messages_may_come_between_compressed_ones() {
    let bytes = [
        frame(0xc1, &HELLO),
        frame(0x81, b"plain"),
        frame(0xc1, &HELLO),
    ]
    .concat();
    let expected = [text("Hello"), text("plain"), text("Hello")];
    assert_eq!(inflating(&bytes), expected);
}

#[test]
fn empty_message_may_be_compressed() {
    assert_eq!(inflating(&frame(0xc1, b"\0")), [text("")]);
    assert_eq!(inflating(&frame(0xc2, b"")), [binary(b"")]);
}

#[test]
fn compression_bit_is_refused_where_it_has_no_meaning() {
    for first in [0xc8, 0xc9, 0xca, 0xa1, 0x91, 0xe1] {
        assert_eq!(*error_of(&inflating(&[first])), ProtocolError::ReservedBits);
    }
    for first in [0x40, 0xc0] {
        let bytes = [frame(0x41, &HELLO), vec![first]].concat();
        assert_eq!(*error_of(&inflating(&bytes)), ProtocolError::ReservedBits);
    }
}

#[test]
fn compression_bit_is_refused_when_not_negotiated() {
    let error = ProtocolError::ReservedBits;
    assert_eq!(*error_of(&actions(&frame(0xc1, &HELLO))), error);
}

#[test]
fn garbage_ends_with_1007() {
    let actions = inflating(&frame(0xc1, &[0xff; 20]));
    assert_eq!(*error_of(&actions), ProtocolError::Inflate);
    assert_eq!(error_of(&actions).close_code(), CloseCode::INVALID_PAYLOAD);
}

#[test]
fn inflated_text_must_be_utf8() {
    // A stored block with one byte.
    let stored = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00];
    assert_eq!(inflating(&frame(0xc2, &stored)), [binary(b"\xff")]);
    let actions = inflating(&frame(0xc1, &stored));
    assert_eq!(*error_of(&actions), ProtocolError::InvalidUtf8);
}

#[test]
fn compressed_messages_are_discarded_uninflated_while_closing() {
    let bytes = [
        frame(0xc1, &[0xff; 20]),
        frame(0x41, b"\xff"),
        frame(0x80, b""),
    ]
    .concat();
    let mut protocol = Protocol::new(true);
    protocol.close(None);
    assert!(feed(&mut protocol, &Limits::default(), &bytes, 3).is_empty());
    assert!(!protocol.in_message());
}
