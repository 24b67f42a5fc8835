//! Internals for the benchmarks; not part of the API, may change at any time.
//!
//! Owns nothing: each item wraps an internal one.

use std::io;

use tieline_websocket::Frame;

use crate::{config::Config, hub};

/// The outbox of a connection, without a socket.
#[derive(Debug)]
pub struct Outbox {
    outbox: hub::Outbox,
    rules: hub::OutboxRules,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            outbox: hub::Outbox::default(),
            rules: hub::OutboxRules::new(&Config::default()),
        }
    }
}

impl Outbox {
    /// Appends a frame.
    pub fn push(&mut self, frame: Frame) {
        self.outbox.push(frame, &self.rules);
    }

    /// Writes until nothing is left. `write` gets the length of each write, and takes it as a whole.
    pub fn flush(&mut self, mut write: impl FnMut(usize)) -> io::Result<()> {
        let mut write = |slices: &[io::IoSlice<'_>]| {
            let length = slices.iter().map(|slice| slice.len()).sum();
            write(length);
            Ok(length)
        };
        let mut reports = hub::Reports::default();
        let mut write = || self.outbox.write(&self.rules, &mut reports, &mut write);
        while write()? == hub::Written::Some {}
        Ok(())
    }
}
