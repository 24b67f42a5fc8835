//! Internals that the benchmarks reach; not part of the API, and free to change.
//!
//! Owns nothing: each item only hands on.

use std::io;

use tieline_websocket::Frame;

use crate::hub::Outbox as Inner;

/// A client's queue of frames, without its socket.
#[derive(Debug, Default)]
pub struct Outbox(Inner);

impl Outbox {
    /// Appends a frame.
    pub fn push(&mut self, frame: Frame) {
        self.0.push(frame);
    }

    /// Writes until nothing waits. `write` is told how long each write is, and takes it as a whole.
    pub fn flush(&mut self, mut write: impl FnMut(usize)) -> io::Result<()> {
        let flushed = self.0.flush(&mut |slices| {
            let length = slices.iter().map(|slice| slice.len()).sum();
            write(length);
            Ok(length)
        });
        flushed.map(drop)
    }
}
