//! RFC 6455, section 5.2, for a sender, and the cost of sharing a frame.

#![allow(clippy::cast_possible_truncation)]

use bytes::Bytes;

use super::*;
use crate::{CloseCode, Message};

fn bytes(frame: &AnyFrame, deflate: Option<&Deflate>) -> Vec<u8> {
    let encoded = frame.encoded(deflate);
    let bytes = [encoded.header, encoded.payload].concat();
    assert_eq!(bytes.len(), encoded.len());
    assert!(!encoded.is_empty());
    bytes
}

/// Compresses every payload that becomes shorter.
const ALL: Deflate = Deflate {
    level: 9,
    threshold: 0,
};

#[test]
fn examples_of_section_5_7() {
    assert_eq!(bytes(&Frame::text("Hello"), None), b"\x81\x05Hello");
    assert_eq!(bytes(&AnyFrame::ping(b"Hello"), None), b"\x89\x05Hello");
    assert_eq!(bytes(&AnyFrame::pong(b"Hello"), None), b"\x8a\x05Hello");
    let medium = Frame::binary(vec![7; 256]);
    assert_eq!(medium.encoded(None).header, [0x82, 0x7e, 0x01, 0x00]);
    let long = Frame::binary(vec![7; 65_536]);
    assert_eq!(
        long.encoded(None).header,
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
}

#[test]
fn lengths_are_encoded_minimally_at_each_edge() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let frame = Frame::binary(vec![0; length]);
        assert_eq!(frame.encoded(None).header.len(), header, "length {length}");
        assert_eq!(frame.encoded(None).payload.len(), length);
    }
}

#[test]
fn payload_is_used_without_a_copy() {
    let text = String::from("a text that lives on the heap");
    let address = text.as_ptr();
    let frame = Frame::from(Message::Text(text));
    assert_eq!(frame.payload().as_ptr(), address);
    assert_eq!(frame.clone().encoded(None).payload.as_ptr(), address);

    let bytes = vec![1, 2, 3];
    let address = bytes.as_ptr();
    assert_eq!(Frame::from(bytes).payload().as_ptr(), address);

    let shared = Bytes::from(vec![1, 2, 3, 4]).slice(1..3);
    let address = shared.as_ptr();
    let frame = Frame::from(shared.clone());
    assert_eq!(frame.payload().as_ptr(), address);
    assert_eq!(frame.kind(), FrameKind::Binary);
    let text = Frame::try_text(shared).unwrap();
    assert_eq!(text.payload().as_ptr(), address);
    assert_eq!(text.kind(), FrameKind::Text);

    let welcome = "welcome";
    let frame = Frame::from_static(welcome);
    assert_eq!(frame.payload().as_ptr(), welcome.as_ptr());
    assert_eq!(frame, Frame::text("welcome"));
}

#[test]
fn shared_bytes_that_are_no_text_are_refused() {
    for bytes in [&b"\xff"[..], b"ok\xc3", b"\xed\xa0\x80"] {
        assert!(Frame::try_text(Bytes::copy_from_slice(bytes)).is_err());
    }
    assert_eq!(Frame::try_text(Bytes::new()), Ok(Frame::text("")));
}

#[test]
fn handle_is_one_pointer() {
    assert_eq!(size_of::<Frame>(), 8);
    assert_eq!(size_of::<Option<Frame>>(), 8);
}

#[test]
fn conversions_keep_the_kind() {
    let text = String::from("x");
    for frame in [Frame::from("x"), Frame::from(&text), Frame::from(text)] {
        assert_eq!(frame, Frame::text("x"));
        assert_eq!(frame.kind(), FrameKind::Text);
    }
    let slice: &[u8] = b"x";
    for frame in [
        Frame::from(slice),
        Frame::from(b"x"),
        Frame::from(vec![b'x']),
    ] {
        assert_eq!(frame, Frame::binary(*b"x"));
        assert_eq!(frame.kind(), FrameKind::Binary);
    }
    assert_ne!(Frame::text("x"), Frame::binary(*b"x"));
}

#[test]
fn control_payloads_are_cut_to_125_bytes() {
    for frame in [AnyFrame::ping(&[b'x'; 126]), AnyFrame::pong(&[b'x'; 126])] {
        assert_eq!(frame.payload(), [b'x'; 125]);
    }
    let mut close = CloseFrame::new(CloseCode::NORMAL, "");
    close.reason = "ü".repeat(100);
    let frame = AnyFrame::close(Some(&close));
    assert_eq!(frame.payload().len(), 2 + 122, "cut between characters");
    assert_eq!(bytes(&AnyFrame::close(None), None), [0x88, 0x00]);
}

#[test]
fn compressed_form_is_made_once_and_shared() {
    let frame = Frame::text("tieline ".repeat(100));
    let other = frame.clone();
    let first = frame.encoded(Some(&ALL));
    let second = other.encoded(Some(&ALL));
    assert_eq!(first.payload.as_ptr(), second.payload.as_ptr());
    assert_eq!(first.header[0], 0xc1, "RSV1 is set");
    assert!(first.len() < 100);
    assert_eq!(frame.encoded(None).header[0], 0x81, "the plain form stays");
    assert_eq!(frame.encoded(None).payload.len(), 800);
}

#[test]
fn example_of_rfc_7692_section_7_2_3_1() {
    // "Hello" gains nothing, so the example is compressed below the frame.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let repeated = Frame::text("HelloHelloHelloHello");
    let encoded = repeated.encoded(Some(&ALL));
    assert_eq!(encoded.header, [0xc1, encoded.payload.len() as u8]);
    assert_eq!(encoded.payload[..5], hello[..5]);
}

#[test]
fn incompressible_frames_are_sent_uncompressed() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    })
    .take(1000)
    .collect();
    let settings = Some(&ALL);
    assert_eq!(Frame::binary(noise).encoded(settings).header[0], 0x82);
    assert_eq!(Frame::text("").encoded(settings).header, [0x81, 0]);
    assert_eq!(
        AnyFrame::ping(&[b'a'; 125]).encoded(settings).header[0],
        0x89
    );
    let close = CloseFrame::new(CloseCode::NORMAL, "a".repeat(123));
    assert_eq!(
        AnyFrame::close(Some(&close)).encoded(settings).header[0],
        0x88
    );
}

#[test]
fn threshold_is_the_first_length_that_is_compressed() {
    let settings = Deflate::default();
    let below = Frame::text("a".repeat(settings.threshold - 1));
    let at = Frame::text("a".repeat(settings.threshold));
    assert_eq!(below.encoded(Some(&settings)).header[0], 0x81);
    assert_eq!(at.encoded(Some(&settings)).header[0], 0xc1);
}

#[test]
fn debug_output_hides_the_payload() {
    let shown = format!("{:?}", Frame::text("secret"));
    assert_eq!(shown, "Frame { kind: Text, len: 6 }");
}

#[test]
fn the_first_and_the_last_queue_that_hold_a_frame_are_told() {
    let frame = Frame::text("x");
    let clone = frame.clone();
    assert!(frame.retain(1));
    assert!(!clone.retain(1));
    assert!(!frame.release(1));
    assert!(clone.release(1));
    assert!(clone.retain(1), "it may wait again");
}

#[test]
fn each_owner_of_queues_that_hold_a_frame_counts_it_as_long_as_one_does() {
    let frame = Frame::text("x");
    let (mut held, mut counted) = ([0; 3], [0; 3]);
    let mut random = 1_u32;
    for step in 0..10_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let owner = (random >> 16) % 3;
        let i = owner as usize;
        // In turns of mostly more and mostly fewer.
        if held[i] == 0 || (random >> 24) % 8 < if step % 200 < 100 { 6 } else { 2 } {
            held[i] += 1;
            counted[i] += usize::from(frame.retain(owner));
        } else {
            held[i] -= 1;
            counted[i] -= usize::from(frame.release(owner));
        }
        for (held, counted) in held.into_iter().zip(counted) {
            assert_eq!(held > 0, counted > 0);
            assert!(counted <= held);
        }
    }
}
