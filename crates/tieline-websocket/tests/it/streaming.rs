//! For any input, the pieces of a streaming connection are the messages that a collecting one yields, and both
//! fail at the same byte.

use proptest::prelude::*;
use tieline_websocket::{Action, Chunk, Limits, Message, Protocol};

use crate::arbitrary::nearly_frames;

/// No limit applies to what is streamed.
const UNLIMITED: Limits = Limits {
    message: 1 << 30,
    fragments: u32::MAX,
};

/// The actions for `bytes` in portions of `size`, each with the position behind the portion.
fn actions(
    mut protocol: Protocol,
    limits: &Limits,
    bytes: &[u8],
    size: usize,
) -> Vec<(usize, Action)> {
    let (mut actions, mut position) = (Vec::new(), 0);
    for portion in bytes.chunks(size) {
        position += portion.len();
        let mut portion = portion.to_vec();
        let mut rest = &mut portion[..];
        while !rest.is_empty() {
            let received = protocol.receive(limits, rest);
            assert!(received.consumed > 0 && received.consumed <= rest.len());
            rest = &mut rest[received.consumed..];
            actions.extend(received.action.map(|action| (position, action)));
        }
    }
    actions
}

/// Joins chunks to messages, and leaves other actions. Checks what a chunk says about its place.
fn join(actions: Vec<(usize, Action)>, size: usize) -> Vec<(usize, Action)> {
    let (mut joined, mut message) = (Vec::new(), None);
    for (position, action) in actions {
        let Action::Chunk(chunk) = action else {
            joined.push((position, action));
            continue;
        };
        assert!(chunk.len() <= size + 3, "bounded by what arrived");
        assert!(!chunk.is_empty() || chunk.is_last());
        assert_eq!(chunk.is_first(), message.is_none());
        assert_eq!(
            chunk.offset(),
            message.as_ref().map_or(0, Message::len) as u64
        );
        let last = chunk.is_last();
        message = Some(append(message, *chunk));
        if last {
            joined.extend(message.take().map(|it| (position, Action::Message(it))));
        }
    }
    joined
}

fn append(message: Option<Message>, chunk: Chunk) -> Message {
    assert_eq!(chunk.as_text().is_some(), chunk.is_text());
    match (message, chunk.into_message()) {
        (None, chunk) => chunk,
        (Some(Message::Text(text)), Message::Text(more)) => Message::Text(text + &more),
        (Some(Message::Binary(bytes)), Message::Binary(more)) => {
            Message::Binary([bytes, more].concat())
        }
        mixed => panic!("a message is text or binary: {mixed:?}"),
    }
}

proptest! {
    #[test]
    fn pieces_of_any_split_are_the_messages_and_errors_come_at_the_same_byte(
        bytes in nearly_frames(),
        size in prop_oneof![1..10_usize, 1..1000_usize],
    ) {
        let whole = actions(Protocol::new(false), &UNLIMITED, &bytes, size);
        let pieces = actions(Protocol::streaming(), &UNLIMITED, &bytes, size);
        prop_assert!(!pieces.iter().any(|(_, it)| matches!(it, Action::Message(_))));
        prop_assert_eq!(join(pieces, size), whole);
    }

    #[test]
    fn limits_do_not_apply(bytes in nearly_frames(), size in 1..1000_usize) {
        let none = Limits { message: 1, fragments: 1 };
        let limited = actions(Protocol::streaming(), &none, &bytes, size);
        prop_assert_eq!(limited, actions(Protocol::streaming(), &UNLIMITED, &bytes, size));
    }
}

/// A message that says it is longer than any memory is passed on as it comes.
#[test]
fn a_frame_of_any_length_is_passed_on_as_it_arrives() {
    let mut protocol = Protocol::streaming();
    let mut header = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(
        protocol.receive(&Limits::default(), &mut header).action,
        None
    );
    for round in 0..100 {
        let mut payload = vec![7; 64 * 1024];
        let received = protocol.receive(&Limits::default(), &mut payload);
        let Some(Action::Chunk(chunk)) = received.action else {
            panic!("no chunk: {received:?}");
        };
        assert_eq!(chunk.as_bytes(), payload);
        assert_eq!(chunk.offset(), round * 64 * 1024);
        assert!(!chunk.is_last());
    }
}

#[test]
fn nothing_comes_once_a_close_has_begun() {
    let mut protocol = Protocol::streaming();
    let limits = Limits::default();
    let received = protocol.receive(&limits, &mut [0x01, 0x81, 0, 0, 0, 0, b'a']);
    assert!(matches!(received.action, Some(Action::Chunk(_))));
    assert!(protocol.close(None).is_some());
    let mut rest = [0x80, 0x81, 0, 0, 0, 0, b'b', 0x81, 0x81, 0, 0, 0, 0, b'c'];
    assert_eq!(protocol.receive(&limits, &mut rest).action, None);
}
