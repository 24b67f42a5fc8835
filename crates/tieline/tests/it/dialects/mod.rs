//! Dialects: one message, each client in its own form.

mod filters;
#[cfg(feature = "cluster")]
mod nodes;
mod notes;
mod numbers;

use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::kit::{RawFrame, raw::TEXT};

/// The text of a compressed frame.
fn inflated(frame: &RawFrame) -> String {
    assert!(frame.compressed && frame.opcode == TEXT, "{frame:?}");
    let mut bytes = frame.payload.clone();
    bytes.extend([0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]);
    let mut text = String::new();
    let mut decoder = DeflateDecoder::new(&bytes[..]);
    decoder.read_to_string(&mut text).unwrap();
    text
}
