//! A message that is being sent in pieces.
//!
//! Owns what waits for its end: between the fragments of a message, no other message may be sent (RFC 6455, section
//! 5.4). Must not know who gives the pieces, nor sockets.

use std::task::Waker;

use tieline_websocket::AnyFrame;
use tokio::time::Instant;

use super::outbox::{Outbox, OutboxRules};

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Other messages, which go behind this one. All of it counts against the node's budget.
    pub(super) held: Outbox,
    /// Of the writer, while it waits for room.
    pub(super) waker: Option<Waker>,
    /// When the application gave the last piece, or began.
    pub(super) since: Instant,
    /// Whether a fragment was sent.
    pub(super) has_begun: bool,
}

impl Outgoing {
    /// A message that begins; `compress` if the client negotiated compression.
    pub(super) fn new(compress: bool) -> Self {
        Self {
            held: Outbox::new(compress),
            waker: None,
            since: Instant::now(),
            has_begun: false,
        }
    }

    /// Keeps a message until this one ends.
    pub(super) fn hold(&mut self, frame: AnyFrame, rules: &OutboxRules) {
        self.held.push(frame, rules);
        // The application may take its time.
        self.held.count(rules);
    }
}
