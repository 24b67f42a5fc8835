//! A message that is being sent in pieces.
//!
//! Owns what waits for its end: between the fragments of a message, no other message may be sent (RFC 6455, section
//! 5.4). Must not know who gives the pieces, nor sockets.

use std::{task::Waker, time::Duration};

use tieline_websocket::AnyFrame;
use tokio::time::Instant;

use super::outbox::{Outbox, OutboxRules};

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Other messages, which go behind this one. All of it counts against the node's budget.
    pub(super) held: Outbox,
    /// Of the writer, while it waits for room.
    pub(super) waker: Option<Waker>,
    /// When the application gave the last piece, began, or was told that it waits no more.
    since: Instant,
    /// Whether a fragment was sent.
    pub(super) has_begun: bool,
}

impl Outgoing {
    /// A message that begins, with an empty outbox for what waits for its end.
    pub(super) fn new(held: Outbox) -> Self {
        Self {
            held,
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

    /// The application has given a piece.
    pub(super) fn proceed(&mut self) {
        self.since = Instant::now();
        self.has_begun = true;
    }

    /// Another message has begun, before anything that waits.
    pub(super) fn begin_again(&mut self) {
        self.since = Instant::now();
        self.has_begun = false;
    }

    /// Whom to wake, if the writer waits for room; it does not any more. Its time runs from here: it was the client's
    /// until now, and the writer may not have had a turn yet when its message is checked next.
    pub(super) fn stop_waiting(&mut self) -> Option<Waker> {
        let waker = self.waker.take();
        if waker.is_some() {
            self.since = Instant::now();
        }
        waker
    }

    /// When the application has not gone on for too long. While it waits for room, that is always to come.
    pub(super) fn due(&self, patience: Duration) -> Instant {
        let since = match self.waker {
            Some(_) => Instant::now(),
            None => self.since,
        };
        since + patience
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_writer_waits_for_the_client_does_not_count() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let is_due = |outgoing: &Outgoing| outgoing.due(PATIENCE) <= Instant::now();
        let mut outgoing = Outgoing::new(Outbox::default());
        advance(PATIENCE / 2).await;
        outgoing.proceed();
        outgoing.waker = Some(Waker::noop().clone());
        advance(2 * PATIENCE).await;
        assert!(!is_due(&outgoing));
        // Told of room, and not polled yet.
        assert!(outgoing.stop_waiting().is_some());
        assert!(!is_due(&outgoing));
        advance(PATIENCE / 2).await;
        assert!(outgoing.stop_waiting().is_none());
        assert!(!is_due(&outgoing));
        advance(PATIENCE / 2).await;
        assert!(is_due(&outgoing));
    }
}
