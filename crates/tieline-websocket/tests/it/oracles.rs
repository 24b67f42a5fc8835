//! Corrupt frames, with tungstenite and tokio-websockets as servers: this crate accepts and refuses
//! the same input as they do.
//!
//! Known differences, each allowed below by name:
//! - Both: this crate refuses a fault in the last, incomplete frame as soon as its byte has arrived;
//!   they may wait for more (tungstenite for the whole frame, tokio-websockets for the second byte of
//!   a header, and for the whole frame if the fragments together exceed the limit).
//! - tokio-websockets does not check that a text ends with a complete character if its last fragment
//!   is empty; the test checks it instead.
//! - tungstenite accepts lengths that are not minimal.
//! - tungstenite answers an invalid close code with 1002, but reports a close and no error; it treats
//!   1014 as invalid.

use std::io::{self, Cursor, Read, Write};

use futures_util::StreamExt;
use proptest::prelude::*;
use tieline_websocket::{Action, Limits, Message, Protocol, ProtocolError};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, WebSocket};

use crate::client::{Transfer, transfer};

/// Both oracles have the same limit.
const LIMIT: usize = 100_000;

#[derive(Clone, Debug, PartialEq)]
enum End {
    /// The input ended without an error.
    Input,
    /// The peer closed, with this code.
    Closed(Option<u16>),
    /// The peer broke the protocol.
    Refused,
}

fn ours(bytes: &[u8]) -> (Vec<Message>, End, Option<ProtocolError>) {
    let limits = Limits {
        message: LIMIT,
        fragments: u32::MAX,
    };
    let mut protocol = Protocol::new(false);
    let mut messages = Vec::new();
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        let received = protocol.receive(&limits, rest);
        rest = &mut rest[received.consumed..];
        match received.action {
            Some(Action::Message(message)) => messages.push(message),
            Some(Action::Close { received, .. }) => {
                let code = received.map(|it| it.code.as_u16());
                return (messages, End::Closed(code), None);
            }
            Some(Action::Fail { error, .. }) => return (messages, End::Refused, Some(error)),
            Some(action) => panic!("unexpected {action:?}"),
            None => {}
        }
    }
    (messages, End::Input, None)
}

/// Reads the input, discards the output.
struct Pipe(Cursor<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite(bytes: &[u8]) -> (Vec<Message>, End) {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let pipe = Pipe(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(pipe, Role::Server, Some(config));
    let mut messages = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(tungstenite::Message::Text(text)) => {
                messages.push(Message::Text(text.as_str().to_owned()));
            }
            Ok(tungstenite::Message::Binary(data)) => messages.push(Message::Binary(data.into())),
            Ok(tungstenite::Message::Close(frame)) => {
                break End::Closed(frame.map(|it| it.code.into()));
            }
            Ok(_) => {}
            Err(tungstenite::Error::Protocol(ResetWithoutClosingHandshake)) => break End::Input,
            Err(_) => break End::Refused,
        }
    };
    (messages, end)
}

fn tokio_websockets(bytes: &[u8]) -> (Vec<Message>, End) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(bytes.len() + 1_000_000);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let limits = tokio_websockets::Limits::default().max_payload_len(Some(LIMIT));
        let mut socket = tokio_websockets::ServerBuilder::new()
            .limits(limits)
            .serve(far);
        let mut messages = Vec::new();
        let end = loop {
            match socket.next().await {
                Some(Ok(message)) => {
                    if let Some((code, _)) = message.as_close() {
                        let empty = message.as_payload().is_empty();
                        break End::Closed((!empty).then(|| code.into()));
                    }
                    let payload = message.as_payload().to_vec();
                    if message.is_binary() {
                        messages.push(Message::Binary(payload));
                    } else if message.is_text() {
                        // Not `as_text`: see the known differences above.
                        let Ok(text) = String::from_utf8(payload) else {
                            break End::Refused;
                        };
                        messages.push(Message::Text(text));
                    }
                }
                // tungstenite reports a truncated frame as an I/O error.
                Some(Err(tokio_websockets::Error::Io(_))) | None => break End::Input,
                Some(Err(_)) => break End::Refused,
            }
        };
        (messages, end)
    })
}

/// Frames of messages, closes and controls, with some bytes changed, lost or doubled.
fn corrupt() -> impl Strategy<Value = Vec<u8>> {
    let close = prop_oneof![
        Just(Vec::new()),
        prop::sample::select(vec![
            0_u16, 999, 1000, 1004, 1005, 1014, 1015, 2999, 3000, 5000
        ])
        .prop_map(|code| code.to_be_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..10),
    ];
    let close = prop::option::of(close);
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..8);
    (
        prop::collection::vec(transfer(false), 1..4),
        close,
        prop::collection::vec(damage, 0..4),
    )
        .prop_map(|(transfers, close, damages)| {
            let mut bytes = Vec::new();
            let mut starts = Vec::new();
            let mut frames: Vec<_> = transfers.iter().flat_map(Transfer::frames).collect();
            if let Some(payload) = close {
                let mut frame = frames[0].clone();
                (frame.first, frame.payload) = (0x88, payload);
                frames.push(frame);
            }
            for frame in frames {
                starts.push(bytes.len());
                frame.encode(&mut bytes);
            }
            for (index, value, kind) in damages {
                damage_at(&mut bytes, &starts, index, value, kind);
            }
            bytes
        })
}

/// Most changes hit the first two bytes of a frame, which most rules are about.
fn damage_at(bytes: &mut Vec<u8>, starts: &[usize], at: prop::sample::Index, value: u8, kind: u8) {
    let start = starts[at.index(starts.len())];
    let anywhere = at.index(bytes.len());
    let last = bytes.len() - 1;
    match kind {
        0 | 1 => bytes[start.min(last)] = value,
        2 => bytes[start.min(last)] ^= 1 << (value % 8),
        3 => bytes[(start + 1).min(last)] ^= 1 << (value % 8),
        4 => bytes[anywhere] = value,
        5 if bytes.len() > 1 => bytes.truncate(anywhere.max(1)),
        6 if bytes.len() > 1 => drop(bytes.remove(anywhere)),
        _ => bytes.insert(anywhere, value),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn tungstenite_agrees(bytes in corrupt()) {
        let (messages, end, error) = ours(&bytes);
        let (theirs, their_end) = tungstenite(&bytes);
        match (&end, &error, &their_end) {
            (_, Some(ProtocolError::NonMinimalLength), _) => {
                prop_assert_eq!(&theirs[..messages.len()], messages);
                return Ok(());
            }
            (_, Some(ProtocolError::InvalidCloseCode(_)), End::Closed(Some(1002)))
            | (End::Closed(Some(1014)), _, End::Closed(Some(1002)))
            | (End::Refused, _, End::Input) => {}
            _ => prop_assert_eq!(&end, &their_end, "our error: {:?}", error),
        }
        prop_assert_eq!(messages, theirs);
    }

    #[test]
    fn tokio_websockets_agrees(bytes in corrupt()) {
        let (messages, end, error) = ours(&bytes);
        let (theirs, their_end) = tokio_websockets(&bytes);
        if (&end, &their_end) == (&End::Refused, &End::Input) {
            // The oracle may find only what the last byte completed.
            let (_, before, _) = ours(&bytes[..bytes.len() - 1]);
            let too_big = matches!(error, Some(ProtocolError::MessageTooBig { .. }));
            prop_assert!(too_big || before == End::Input, "our error: {:?}", error);
        } else {
            prop_assert_eq!(&end, &their_end, "our error: {:?}", error);
        }
        prop_assert_eq!(messages, theirs);
    }
}
