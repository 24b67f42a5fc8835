//! Section 8.1: UTF-8.

use super::*;

/// "κόσμε" as in the Autobahn suite.
const GOOD: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

#[test]
fn bad_byte_fails_at_once_at_any_position() {
    let limits = Limits::default();
    for position in 0..=GOOD.len() {
        let mut payload = GOOD.to_vec();
        payload.insert(position, 0xff);
        // The header declares more than arrives, so the frame never completes.
        let mut bytes = header(0x81, 100);
        bytes.extend(&frame(0x81, &payload)[6..]);
        let mut protocol = Protocol::new(false);
        let bad = 6 + position;
        assert!(feed(&mut protocol, &limits, &bytes[..bad], 1).is_empty());
        let actions = feed(&mut protocol, &limits, &bytes[bad..=bad], 1);
        assert_eq!(*error_of(&actions), ProtocolError::InvalidUtf8);
    }
}

#[test]
fn bad_byte_is_refused_in_a_complete_frame_too() {
    for position in 0..=GOOD.len() {
        let mut payload = GOOD.to_vec();
        payload.insert(position, 0xff);
        let error = ProtocolError::InvalidUtf8;
        assert_eq!(*error_of(&actions(&frame(0x81, &payload))), error);
        assert_eq!(actions(&frame(0x82, &payload)), [binary(&payload)]);
    }
}

#[test]
fn character_may_be_split_over_fragments() {
    let whole = str::from_utf8(GOOD).expect("valid text");
    for at in 0..=GOOD.len() {
        let bytes = [frame(0x01, &GOOD[..at]), frame(0x80, &GOOD[at..])].concat();
        assert_eq!(actions(&bytes), [text(whole)]);
    }
}

#[test]
fn message_must_not_end_within_a_character() {
    let error = ProtocolError::InvalidUtf8;
    assert_eq!(*error_of(&actions(&frame(0x81, b"\xce"))), error);
    let bytes = [frame(0x01, b"\xe1\xbd"), frame(0x80, b"")].concat();
    assert_eq!(*error_of(&actions(&bytes)), error);
}

#[test]
fn binary_is_not_checked() {
    let bytes = [frame(0x02, b"\xff"), frame(0x80, b"\xfe")].concat();
    assert_eq!(actions(&bytes), [binary(b"\xff\xfe")]);
}
