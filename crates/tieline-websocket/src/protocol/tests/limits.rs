//! The limits, each at its edge.

use super::*;

const LIMITS: Limits = Limits {
    message: 1000,
    fragments: 3,
};

fn too_big() -> ProtocolError {
    ProtocolError::MessageTooBig { limit: 1000 }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let limits = Limits::default();
    assert_eq!((limits.message, limits.fragments), (1_048_576, 4096));
}

#[test]
fn message_at_the_limit_passes_and_a_header_above_it_fails() {
    for (first, byte) in [(0x81, b'a'), (0x82, 0xff)] {
        let bytes = frame(first, &[byte; 1000]);
        assert_eq!(run(false, &LIMITS, &bytes).len(), 1);
        // The header alone decides: not one byte of payload has come.
        let actions = run(false, &LIMITS, &header(first, 1001));
        assert_eq!(*error_of(&actions), too_big());
        assert_eq!(error_of(&actions).close_code(), CloseCode::MESSAGE_TOO_BIG);
    }
}

#[test]
fn fragments_count_together() {
    let bytes = [frame(0x02, &[0; 600]), frame(0x80, &[0; 400])].concat();
    assert_eq!(run(false, &LIMITS, &bytes), [binary(&[0; 1000])]);
    let bytes = [frame(0x02, &[0; 600]), header(0x80, 401)].concat();
    assert_eq!(*error_of(&run(false, &LIMITS, &bytes)), too_big());
}

#[test]
fn largest_length_does_not_overflow() {
    for before in [vec![], frame(0x02, &[0; 1000])] {
        let first = if before.is_empty() { 0x82 } else { 0x80 };
        let bytes = [before, header(first, i64::MAX as u64)].concat();
        assert_eq!(*error_of(&run(false, &LIMITS, &bytes)), too_big());
        let limits = Limits {
            message: usize::MAX,
            fragments: u32::MAX,
        };
        assert_eq!(run(true, &limits, &bytes), []);
    }
}

#[test]
fn fragments_at_the_limit_pass_and_one_more_fails() {
    let start = [frame(0x01, b"a"), frame(0x00, b"")].concat();
    let bytes = [&start[..], &frame(0x80, b"b")].concat();
    assert_eq!(run(false, &LIMITS, &bytes), [text("ab")]);
    let bytes = [&start[..], &frame(0x00, b""), &header(0x80, 1)].concat();
    let error = ProtocolError::TooManyFragments { limit: 3 };
    assert_eq!(*error_of(&run(false, &LIMITS, &bytes)), error);
}

#[test]
fn single_frame_passes_whatever_the_fragment_limit() {
    let limits = Limits {
        message: 1000,
        fragments: 0,
    };
    assert_eq!(run(false, &limits, &frame(0x81, b"a")), [text("a")]);
    let bytes = [frame(0x01, b"a"), header(0x80, 0)].concat();
    let error = ProtocolError::TooManyFragments { limit: 0 };
    assert_eq!(*error_of(&run(false, &limits, &bytes)), error);
}

#[test]
fn compressed_size_is_refused_from_the_header() {
    let most = LIMITS.compressed() as u64;
    assert_eq!(run(true, &LIMITS, &header(0xc2, most)), []);
    let actions = run(true, &LIMITS, &header(0xc2, most + 1));
    assert_eq!(*error_of(&actions), too_big());
}

#[test]
fn incompressible_message_at_the_limit_passes_compressed() {
    // Stored blocks: five bytes of header each, the end of the last without its flush marker.
    let payload = [0xab; 1000];
    let mut stored = Vec::new();
    for block in payload.chunks(500) {
        stored.push(0);
        stored.extend((block.len() as u16).to_le_bytes());
        stored.extend((!(block.len() as u16)).to_le_bytes());
        stored.extend(block);
    }
    stored.push(0);
    assert!(stored.len() > LIMITS.message);
    let bytes = frame(0xc2, &stored);
    assert_eq!(run(true, &LIMITS, &bytes), [binary(&payload)]);
}

#[test]
fn inflated_size_is_limited() {
    for (length, passes) in [(1000, true), (1001, false), (1_000_000, false)] {
        let message = crate::Frame::binary(vec![0; length]);
        let settings = crate::Deflate {
            level: 9,
            threshold: 0,
        };
        let bytes = frame(0xc2, message.encoded(Some(&settings)).payload);
        let actions = run(true, &LIMITS, &bytes);
        if passes {
            assert_eq!(actions, [binary(&vec![0; length])]);
        } else {
            assert_eq!(*error_of(&actions), too_big());
        }
    }
}
