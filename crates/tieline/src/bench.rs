//! Internals for the benchmarks; not part of the API, may change at any time.
//!
//! Owns nothing: each item wraps an internal one.

use std::io;

use tieline_websocket::Frame;

use crate::hub;

/// The outbox of a connection, without a socket.
#[derive(Debug, Default)]
pub struct Outbox(hub::Outbox);

impl Outbox {
    /// Appends a frame.
    pub fn push(&mut self, frame: Frame) {
        self.0.push(frame);
    }

    /// Writes until nothing is left. `write` gets the length of each write, and takes it as a whole.
    pub fn flush(&mut self, mut write: impl FnMut(usize)) -> io::Result<()> {
        let flushed = self.0.flush(&mut |slices| {
            let length = slices.iter().map(|slice| slice.len()).sum();
            write(length);
            Ok(length)
        });
        flushed.map(drop)
    }
}
