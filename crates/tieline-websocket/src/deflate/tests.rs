//! RFC 7692, section 7.2, and the limits on compressed messages.

#![allow(clippy::cast_possible_truncation)]

use super::*;

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn inflated(compressed: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    inflate(compressed, limit, false).map(Message::into_bytes)
}

#[test]
fn examples_of_section_7_2_3() {
    // 7.2.3.1: one compressed block.
    assert_eq!(inflated(&HELLO, 5), Ok(b"Hello".to_vec()));
    // 7.2.3.3: a block without compression.
    let stored = [
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    assert_eq!(inflated(&stored, 5), Ok(b"Hello".to_vec()));
    // 7.2.3.4: a block with BFINAL set.
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflated(&last, 5), Ok(b"Hello".to_vec()));
    // 7.2.3.5: two blocks in one message.
    let two = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    assert_eq!(inflated(&two, 5), Ok(b"Hello".to_vec()));
    // 7.2.3.6: the empty message.
    assert_eq!(inflated(&[0x00], 0), Ok(Vec::new()));
}

#[test]
fn messages_do_not_see_each_other() {
    // 7.2.3.2: the second message of a sender with context takeover refers to the first.
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(inflated(&HELLO, 5), Ok(b"Hello".to_vec()));
    assert_eq!(inflated(&second, 5), Err(ProtocolError::Inflate));
    assert_eq!(inflated(&HELLO, 5), Ok(b"Hello".to_vec()));
}

#[test]
fn every_level_round_trips_and_strips_the_trailer() {
    for level in 0..=11 {
        for length in [50, 1000, 65_536, 300_000] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 10 + i / 5000) as u8).collect();
            let compressed = compress(&payload, level).unwrap_or_default();
            assert!(compressed.len() < payload.len());
            assert!(!compressed.ends_with(&TRAILER));
            assert_eq!(inflated(&compressed, length), Ok(payload));
        }
    }
}

#[test]
fn inflated_size_passes_at_the_limit_and_fails_one_byte_above() {
    for length in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let payload = vec![b'a'; length + 100];
        let compressed = compress(&payload, 9).unwrap_or_default();
        let limit = payload.len();
        assert_eq!(inflated(&compressed, limit), Ok(payload));
        let limit = limit - 1;
        let error = ProtocolError::MessageTooBig { limit };
        assert_eq!(inflated(&compressed, limit), Err(error));
    }
}

#[test]
fn bomb_is_stopped_within_one_chunk_of_the_limit() {
    let bomb = compress(&vec![0; 5_000_000], 9).unwrap_or_default();
    let limit = 100_000;
    let mut buffer = MessageBuffer::binary();
    let mut inflater = Inflater::new();
    let error = inflater.feed(&bomb, limit, &mut buffer);
    assert_eq!(error, Err(ProtocolError::MessageTooBig { limit }));
    assert!(buffer.len() <= limit);
    assert!(inflater.state.total_out() <= (limit + CHUNK) as u64);
}

#[test]
fn garbage_is_an_error() {
    for garbage in [&[0xff; 10][..], &[0x06], &[0x00, 0x01, 0x00, 0x00, 0x00]] {
        assert_eq!(inflated(garbage, 1000), Err(ProtocolError::Inflate));
    }
}

#[test]
fn restarts_are_bounded() {
    let stream_end = [0x03, 0x00];
    let most = MAX_RESTARTS as usize;
    assert_eq!(inflated(&stream_end.repeat(most), 10), Ok(Vec::new()));
    let more = stream_end.repeat(most + 1);
    assert_eq!(inflated(&more, 10), Err(ProtocolError::Inflate));
}

#[test]
fn inflated_text_is_checked() {
    let compressed = compress(&[0xff; 100], 9).unwrap_or_default();
    assert_eq!(
        inflate(&compressed, 100, true),
        Err(ProtocolError::InvalidUtf8)
    );
    assert!(inflate(&compressed, 100, false).is_ok());
}
