//! Every message arrives, in both directions, for any fragmentation and split.

use proptest::prelude::*;
use tieline_websocket::{Action, AnyFrame, Deflate, Frame, Limits, Message, Protocol};

use crate::client::{Transfer, decode, message, transfer};

/// Feeds `bytes` in portions whose sizes repeat `portions`.
fn receive_all(protocol: &mut Protocol, bytes: &[u8], portions: &[usize]) -> Vec<Action> {
    let limits = Limits::default();
    let mut actions = Vec::new();
    let mut sizes = portions.iter().copied().cycle();
    let mut bytes = bytes.to_vec();
    let mut unread = &mut bytes[..];
    while !unread.is_empty() {
        let size = sizes.next().unwrap().min(unread.len());
        let (portion, later) = std::mem::take(&mut unread).split_at_mut(size);
        unread = later;
        let mut rest = portion;
        while !rest.is_empty() {
            let received = protocol.receive(&limits, rest);
            assert!(received.consumed > 0);
            actions.extend(received.action);
            rest = &mut rest[received.consumed..];
        }
    }
    actions
}

/// The messages arrive, and the last ping, if any, leaves a pong.
fn arrives(inflate: bool, transfers: &[Transfer], portions: &[usize]) {
    let mut bytes = Vec::new();
    let mut pong = None;
    for frame in transfers.iter().flat_map(Transfer::frames) {
        frame.encode(&mut bytes);
        if frame.first == 0x89 {
            pong = Some(AnyFrame::pong(&frame.payload));
        }
    }
    let mut protocol = Protocol::new(inflate);
    let actions = receive_all(&mut protocol, &bytes, portions);
    let expected: Vec<Action> = transfers
        .iter()
        .map(|it| Action::Message(it.message.clone()))
        .collect();
    assert_eq!(actions, expected);
    assert_eq!(protocol.take_pong(), pong);
    assert!(!protocol.in_message());
}

fn portions() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![usize::MAX]),
        Just(vec![1]),
        prop::collection::vec(1_usize..2000, 1..20),
        prop::collection::vec(1_usize..12, 1..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn messages_arrive_plain(
        transfers in prop::collection::vec(transfer(false), 0..6),
        portions in portions(),
    ) {
        arrives(false, &transfers, &portions);
    }

    #[test]
    fn messages_arrive_compressed_or_not(
        transfers in prop::collection::vec(transfer(true), 0..6),
        portions in portions(),
    ) {
        arrives(true, &transfers, &portions);
    }

    #[test]
    fn frames_are_read_by_a_client(message in message(), level in 0_u32..12) {
        let settings = Deflate { level, threshold: 0 };
        let frame = Frame::from(message.clone());
        for deflate in [None, Some(&settings)] {
            let encoded = frame.encoded(deflate);
            let bytes = [encoded.header, encoded.payload].concat();
            let (compressed, payload) = decode(&frame, &bytes);
            prop_assert_eq!(&payload[..], message.as_bytes());
            prop_assert!(!compressed || encoded.payload.len() < payload.len());
        }
    }

    #[test]
    fn echo_of_an_echo_is_the_message(message in message(), mask: [u8; 4]) {
        let transfer = Transfer {
            message: message.clone(),
            compressed: true,
            cuts: Vec::new(),
            controls: Vec::new(),
            mask,
        };
        let mut bytes = Vec::new();
        transfer.frames()[0].encode(&mut bytes);
        let mut protocol = Protocol::new(true);
        let actions = receive_all(&mut protocol, &bytes, &[usize::MAX]);
        let [Action::Message(received)] = &actions[..] else {
            panic!("{actions:?}");
        };
        let frame = Frame::from(received.clone());
        let settings = Deflate { level: 3, threshold: 0 };
        let encoded = frame.encoded(Some(&settings));
        let (_, payload) = decode(&frame, &[encoded.header, encoded.payload].concat());
        let back = match message {
            Message::Text(_) => Message::Text(String::from_utf8(payload).unwrap()),
            Message::Binary(_) => Message::Binary(payload),
        };
        prop_assert_eq!(back, message);
    }
}
