//! What waits of one sender.
//!
//! Must not know clients or bounds. Invariant: a message to many leaves when none of its sender's
//! messages to single clients waits, and what the sender has sent after it leaves after it.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct SenderQueue<Unicast, Multicast> {
    /// Messages to single clients that wait in the queues of these, or are being handed out.
    waiting: usize,
    /// The first message to many that waits for those, and everything after it.
    behind: VecDeque<Queued<Unicast, Multicast>>,
    /// Whether some thread hands out what is behind.
    is_releasing: bool,
}

/// A message that waits for others of its sender.
#[derive(Debug)]
pub(super) enum Queued<Unicast, Multicast> {
    Unicast(Box<Unicast>),
    Multicast(Multicast),
}

impl<Unicast, Multicast> SenderQueue<Unicast, Multicast> {
    /// Whether a new message to one client has to wait here.
    pub(super) fn holds_unicasts(&self) -> bool {
        self.is_releasing || !self.behind.is_empty()
    }

    /// Whether a new message to many has to wait here.
    pub(super) fn holds_multicasts(&self) -> bool {
        self.waiting > 0 || self.holds_unicasts()
    }

    pub(super) fn push(&mut self, message: Queued<Unicast, Multicast>) {
        self.behind.push_back(message);
    }

    /// One more waits for its client.
    pub(super) fn add_waiting(&mut self) {
        self.waiting += 1;
    }

    /// One waits no more. True if the caller is to hand out what is behind, by
    /// [`SenderQueue::next`] until it returns `None`.
    pub(super) fn remove_waiting(&mut self) -> bool {
        self.waiting = self.waiting.saturating_sub(1);
        let is_free = self.waiting == 0 && !self.behind.is_empty();
        is_free && !std::mem::replace(&mut self.is_releasing, true)
    }

    /// The next message that may leave.
    pub(super) fn next(&mut self) -> Option<Queued<Unicast, Multicast>> {
        let is_held = self.waiting > 0;
        let next = self
            .behind
            .pop_front_if(|first| !is_held || matches!(first, Queued::Unicast(_)));
        self.is_releasing = next.is_some();
        next
    }

    /// Whether it can be forgotten.
    pub(super) fn is_unused(&self) -> bool {
        self.waiting == 0 && self.behind.is_empty() && !self.is_releasing
    }
}

impl<Unicast, Multicast> Default for SenderQueue<Unicast, Multicast> {
    fn default() -> Self {
        Self {
            waiting: 0,
            behind: VecDeque::new(),
            is_releasing: false,
        }
    }
}
