//! Sections 5.1 to 5.3 and 5.7: masking, header, lengths.

use super::*;

#[test]
fn examples_of_section_5_7() {
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(actions(&hello), [text("Hello")]);
    let pong = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(actions(&pong), []);
    let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(*error_of(&actions(&unmasked)), ProtocolError::Unmasked);
}

#[test]
fn message_of_every_length_encoding_arrives() {
    for length in [0_usize, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|i| (i * 31) as u8).collect();
        assert_eq!(actions(&frame(0x82, &payload)), [binary(&payload)]);
        let letters = "x".repeat(length);
        assert_eq!(actions(&frame(0x81, letters.as_bytes())), [text(&letters)]);
    }
}

#[test]
fn messages_in_one_read_come_one_by_one() {
    let bytes = [frame(0x81, b"a"), frame(0x82, b""), frame(0x81, b"c")].concat();
    assert_eq!(actions(&bytes), [text("a"), binary(b""), text("c")]);
    let mut input = bytes;
    let received = Protocol::new(false).receive(&Limits::default(), &mut input);
    assert_eq!(received.consumed, 7);
}

#[test]
fn unmasked_frame_is_refused_at_the_second_byte() {
    for first in [0x81, 0x82, 0x01, 0x88, 0x89, 0x8a] {
        assert_eq!(*error_of(&actions(&[first, 0])), ProtocolError::Unmasked);
    }
}

#[test]
fn reserved_bits_are_refused_at_the_first_byte() {
    for bits in [0x10, 0x20, 0x40, 0x70] {
        for first in [0x81, 0x82, 0x01, 0x88, 0x89, 0x8a] {
            let error = ProtocolError::ReservedBits;
            assert_eq!(*error_of(&actions(&[first | bits])), error);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused_at_the_first_byte() {
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        let error = ProtocolError::ReservedOpcode(opcode);
        assert_eq!(*error_of(&actions(&[0x80 | opcode])), error);
    }
}

#[test]
fn length_must_be_minimal() {
    let error = ProtocolError::NonMinimalLength;
    assert_eq!(*error_of(&actions(&[0x82, 0xfe, 0, 125])), error);
    let long = [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    assert_eq!(*error_of(&actions(&long)), error);
    assert_eq!(actions(&[0x82, 0xfe, 0, 126]), []);
    let long = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(actions(&long), []);
}

#[test]
fn length_with_the_top_bit_is_refused() {
    let long = [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(*error_of(&actions(&long)), ProtocolError::LengthOverflow);
}

#[test]
fn mask_of_zeros_is_legal() {
    assert_eq!(actions(b"\x81\x82\0\0\0\0ab"), [text("ab")]);
}

#[test]
fn nothing_is_received_after_a_failure() {
    let limits = Limits::default();
    let mut protocol = Protocol::new(false);
    let bytes = [vec![0x83], frame(0x81, b"late"), frame(0x89, b"")].concat();
    assert_eq!(feed(&mut protocol, &limits, &bytes, 1).len(), 1);
    assert_eq!(protocol.state(), ProtocolState::Closed);
    assert!(protocol.take_pong().is_none());
    assert!(protocol.close(None).is_none());
    assert!(!protocol.in_message());
}

#[test]
fn incomplete_frame_is_reported_until_it_is_complete() {
    let limits = Limits::default();
    for first in [0x81, 0x89] {
        let bytes = frame(first, b"abc");
        let mut protocol = Protocol::new(false);
        for (i, byte) in bytes.iter().enumerate() {
            assert_eq!(protocol.in_message(), i > 0);
            protocol.receive(&limits, &mut [*byte]);
        }
        assert!(!protocol.in_message());
    }
}

#[test]
fn empty_input_does_nothing() {
    let received = Protocol::new(false).receive(&Limits::default(), &mut []);
    assert_eq!((received.consumed, received.action), (0, None));
}
