//! For any input, the decoder neither panics nor stalls nor depends on how the bytes are split.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use proptest::prelude::*;
use tieline_websocket::{Action, Limits, Protocol, ProtocolState, handshake};

use crate::client::ClientFrame;

const LIMITS: Limits = Limits {
    message: 200,
    fragments: 4,
};

/// Feeds `bytes` in portions of `size`, closing after `close` bytes.
fn actions(inflate: bool, bytes: &[u8], size: usize, close: Option<usize>) -> Vec<Action> {
    let mut protocol = Protocol::new(inflate);
    let mut actions = Vec::new();
    let split = close.unwrap_or(0).min(bytes.len());
    let (before, after) = bytes.split_at(split);
    for (i, part) in [before, after].into_iter().enumerate() {
        if i == 1 && close.is_some() {
            protocol.close(None);
        }
        for portion in part.chunks(size) {
            let mut portion = portion.to_vec();
            let mut rest = &mut portion[..];
            while !rest.is_empty() {
                let received = protocol.receive(&LIMITS, rest);
                assert!(received.consumed > 0 && received.consumed <= rest.len());
                actions.extend(received.action);
                rest = &mut rest[received.consumed..];
            }
        }
    }
    let ends = |it: &&Action| !matches!(it, Action::Message(_));
    let ended = actions.iter().filter(ends).count();
    assert_eq!(
        ended,
        usize::from(protocol.state() == ProtocolState::Closed)
    );
    actions
}

/// Nearly valid frames, so that the input gets past the header.
pub(crate) fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        2 => prop::sample::select(vec![0xc1, 0xc2, 0x41, 0x42, 0x88]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => "[a-cü😀]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..210),
        1 => Just(vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
    ];
    let frame = (first, any::<[u8; 4]>(), payload).prop_map(|(first, mask, payload)| {
        let frame = ClientFrame {
            first,
            mask,
            payload,
        };
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes
    });
    let frames = prop::collection::vec(frame, 0..8).prop_map(|it| it.concat());
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (frames, flips).prop_map(|(mut bytes, flips)| {
        for (index, flip) in flips {
            if !bytes.is_empty() {
                *index.get_mut(&mut bytes) ^= flip;
            }
        }
        bytes
    })
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    let bytes = prop_oneof![
        "[a-z,;=\" \\\\]{0,30}".prop_map(String::into_bytes),
        "(permessage-deflate|;|,| |=|1[0-9]|(client|server)_(max_window_bits|no_context_takeover)){0,9}"
            .prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    bytes.prop_filter_map("no header value", |it| HeaderValue::from_bytes(&it).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        inflate: bool,
        size in 1_usize..50,
    ) {
        let split = actions(inflate, &bytes, size, None);
        prop_assert_eq!(split, actions(inflate, &bytes, usize::MAX, None));
    }

    #[test]
    fn nearly_valid_frames_are_survived(
        bytes in nearly_frames(),
        inflate: bool,
        size in 1_usize..50,
        close in prop::option::of(0_usize..400),
    ) {
        let split = actions(inflate, &bytes, size, close);
        prop_assert_eq!(split, actions(inflate, &bytes, usize::MAX, close));
    }

    #[test]
    fn any_request_headers_are_survived(
        values in prop::collection::vec((0_usize..8, header_value()), 0..8),
        subprotocol in any::<String>(),
    ) {
        let names = ["host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version",
            "sec-websocket-protocol", "sec-websocket-extensions", "sec-websocket-extensions"];
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "h"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (index, value) in values {
            let name = HeaderName::from_static(names[index]);
            if index < 5 {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        match handshake::Request::parse(&Method::GET, Version::HTTP_11, &headers) {
            Ok(request) => {
                prop_assert_eq!(request.respond(Some(&subprotocol), true).status(), 101);
            }
            Err(error) => prop_assert!(error.response().status().is_client_error()),
        }
    }
}
