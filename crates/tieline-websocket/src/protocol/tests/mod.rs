//! The decoder, by the sections of RFC 6455.
//!
//! Every scenario runs with every split of its bytes in [`SPLITS`], and all must agree.

#![allow(clippy::cast_possible_truncation)]

mod close;
mod control;
mod deflate;
mod fragments;
mod framing;
mod limits;
mod plain;
mod text;

use super::*;
use crate::CloseCode;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SPLITS: [usize; 8] = [1, 2, 3, 4, 5, 7, 64, usize::MAX];

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    let masked = payload.iter().enumerate().map(|(i, b)| b ^ MASK[i % 4]);
    bytes.extend(masked);
    bytes
}

/// The header of a masked frame.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// Feeds `bytes` in portions of `split` and collects the actions.
fn feed(protocol: &mut Protocol, limits: &Limits, bytes: &[u8], split: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    for portion in bytes.chunks(split.min(bytes.len()).max(1)) {
        let mut portion = portion.to_vec();
        let mut rest = &mut portion[..];
        while !rest.is_empty() {
            let received = protocol.receive(limits, rest);
            assert!(received.consumed > 0, "progress");
            rest = &mut rest[received.consumed..];
            actions.extend(received.action);
        }
    }
    actions
}

/// The actions of a new connection for `bytes`, the same for every split.
fn run(inflate: bool, limits: &Limits, bytes: &[u8]) -> Vec<Action> {
    let outcomes = SPLITS.map(|split| {
        let mut protocol = Protocol::new(inflate);
        let actions = feed(&mut protocol, limits, bytes, split);
        (actions, protocol.in_message(), protocol.state())
    });
    for outcome in &outcomes {
        assert_eq!(*outcome, outcomes[0], "depends on the split");
    }
    let [(actions, ..), ..] = outcomes;
    actions
}

fn actions(bytes: &[u8]) -> Vec<Action> {
    run(false, &Limits::default(), bytes)
}

/// The error that ends the actions; checks its reply.
fn error_of(actions: &[Action]) -> &ProtocolError {
    let Some(Action::Fail { error, reply }) = actions.last() else {
        panic!("no failure: {actions:?}");
    };
    let reply = reply.as_ref().expect("a failure of an open connection");
    let close = CloseFrame::decode(reply.payload()).expect("a valid reply");
    assert_eq!(close.map(|it| it.code), Some(error.close_code()));
    error
}

fn text(text: &str) -> Action {
    Action::Message(Message::Text(text.into()))
}

fn binary(bytes: &[u8]) -> Action {
    Action::Message(Message::Binary(bytes.into()))
}

#[test]
fn idle_connection_is_small_and_owns_nothing() {
    assert!(size_of::<Protocol>() <= 32, "{}", size_of::<Protocol>());
    let limits = Limits::default();
    let mut protocol = Protocol::new(true);
    for split in SPLITS {
        let bytes = [frame(0x01, b"a"), frame(0x89, b""), frame(0x80, b"b")].concat();
        assert_eq!(feed(&mut protocol, &limits, &bytes, split), [text("ab")]);
        assert!(protocol.partial.is_none() && !protocol.in_message());
    }
}
