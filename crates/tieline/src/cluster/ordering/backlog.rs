//! What waits for one client.
//!
//! Owns one client's unicasts within one segment, and what they wait for: the result of a lookup, and
//! the nodes from which earlier unicasts may still bounce. Must not know other clients or bounds.
//! Invariant: bounced unicasts leave before queued ones, each in the order in which it came.

use std::collections::VecDeque;

/// The lookup of a client.
#[derive(Debug)]
enum Resolution<Lookup> {
    LookingUp,
    Resolved(Lookup),
}

/// The unicasts that wait for one client, each with its size in bytes.
#[derive(Debug)]
pub(super) struct ClientBacklog<Unicast, Lookup> {
    /// Bounced from a node that does not have the client: sent before the queued ones.
    bounced: VecDeque<(Unicast, usize)>,
    queued: VecDeque<(Unicast, usize)>,
    resolution: Resolution<Lookup>,
    /// Nodes from which more may bounce.
    bounces_outstanding: usize,
}

/// Unicasts that leave the queue, and their size in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Removed<Unicast> {
    pub(super) unicasts: Vec<Unicast>,
    pub(super) bytes: usize,
}

impl<Unicast, Lookup: Clone> ClientBacklog<Unicast, Lookup> {
    pub(super) fn enqueue(&mut self, unicast: Unicast, bytes: usize) {
        self.queued.push_back((unicast, bytes));
    }

    /// Adds a bounced unicast. True if it needs a lookup and a barrier: one of each serves all that
    /// bounce together.
    pub(super) fn add_bounced(&mut self, unicast: Unicast, bytes: usize) -> bool {
        let is_first =
            self.bounces_outstanding == 0 || matches!(self.resolution, Resolution::Resolved(_));
        self.bounced.push_back((unicast, bytes));
        if is_first {
            self.expect_bounces();
        }
        is_first
    }

    /// Holds everything until the next lookup ends and one more node has returned all that bounces.
    pub(super) fn expect_bounces(&mut self) {
        self.resolution = Resolution::LookingUp;
        self.bounces_outstanding += 1;
    }

    /// One node has returned all that bounces.
    pub(super) fn all_bounced(&mut self) {
        self.bounces_outstanding = self.bounces_outstanding.saturating_sub(1);
    }

    /// Ends the lookup; the first result counts.
    pub(super) fn resolve(&mut self, lookup: &Lookup) {
        if matches!(self.resolution, Resolution::LookingUp) {
            self.resolution = Resolution::Resolved(lookup.clone());
        }
    }

    /// The result of the lookup, once nothing more bounces.
    pub(super) fn ready(&self) -> Option<&Lookup> {
        match &self.resolution {
            Resolution::Resolved(lookup) if self.bounces_outstanding == 0 => Some(lookup),
            Resolution::Resolved(_) | Resolution::LookingUp => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bounced.is_empty() && self.queued.is_empty()
    }

    /// Removes everything, in the order to send it.
    pub(super) fn take(&mut self) -> Removed<Unicast> {
        Removed::from(self.bounced.drain(..).chain(self.queued.drain(..)))
    }

    /// Removes the bounced unicasts that are `overtaken`.
    pub(super) fn take_overtaken(
        &mut self,
        overtaken: impl Fn(&Unicast) -> bool,
    ) -> Removed<Unicast> {
        let bounced = std::mem::take(&mut self.bounced).into_iter();
        let (removed, kept): (VecDeque<_>, _) =
            bounced.partition(|(unicast, _)| overtaken(unicast));
        self.bounced = kept;
        Removed::from(removed.into_iter())
    }
}

impl<Unicast> Removed<Unicast> {
    fn from(all: impl Iterator<Item = (Unicast, usize)>) -> Self {
        let mut removed = Self::default();
        for (unicast, bytes) in all {
            removed.unicasts.push(unicast);
            removed.bytes += bytes;
        }
        removed
    }
}

impl<Unicast> Default for Removed<Unicast> {
    fn default() -> Self {
        Self {
            unicasts: Vec::new(),
            bytes: 0,
        }
    }
}

impl<Unicast, Lookup> Default for ClientBacklog<Unicast, Lookup> {
    fn default() -> Self {
        Self {
            bounced: VecDeque::new(),
            queued: VecDeque::new(),
            resolution: Resolution::LookingUp,
            bounces_outstanding: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Backlog = ClientBacklog<u32, &'static str>;

    #[test]
    fn it_is_ready_once_it_is_resolved_and_nothing_more_bounces() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.ready(), None);
        backlog.resolve(&"a");
        assert_eq!(backlog.ready(), Some(&"a"));
        backlog.expect_bounces();
        backlog.expect_bounces();
        assert_eq!(backlog.ready(), None);
        backlog.resolve(&"b");
        backlog.all_bounced();
        assert_eq!(backlog.ready(), None);
        backlog.all_bounced();
        assert_eq!(backlog.ready(), Some(&"b"));
    }

    #[test]
    fn the_first_result_counts_until_something_bounces() {
        let mut backlog = Backlog::default();
        backlog.resolve(&"a");
        backlog.resolve(&"b");
        assert_eq!(backlog.ready(), Some(&"a"));
        backlog.expect_bounces();
        backlog.all_bounced();
        assert_eq!(backlog.ready(), None);
    }

    #[test]
    fn one_lookup_serves_all_that_bounce_together() {
        let mut backlog = Backlog::default();
        assert!(backlog.add_bounced(1, 1));
        assert!(!backlog.add_bounced(2, 1));
        backlog.resolve(&"a");
        // This one may have bounced from another node.
        assert!(backlog.add_bounced(3, 1));
        backlog.all_bounced();
        backlog.resolve(&"b");
        assert_eq!(backlog.ready(), None);
        backlog.all_bounced();
        assert_eq!(backlog.ready(), Some(&"b"));
    }

    #[test]
    fn more_ends_than_bounces_do_no_harm() {
        let mut backlog = Backlog::default();
        backlog.all_bounced();
        backlog.resolve(&"a");
        assert_eq!(backlog.ready(), Some(&"a"));
    }

    #[test]
    fn bounced_unicasts_leave_before_queued_ones() {
        let mut backlog = Backlog::default();
        backlog.enqueue(3, 30);
        backlog.add_bounced(1, 10);
        backlog.add_bounced(2, 20);
        backlog.enqueue(4, 40);
        let removed = backlog.take();
        assert_eq!((removed.unicasts, removed.bytes), (vec![1, 2, 3, 4], 100));
        assert!(backlog.is_empty());
    }

    #[test]
    fn only_bounced_unicasts_can_be_overtaken() {
        let mut backlog = Backlog::default();
        backlog.enqueue(1, 1);
        for n in [2, 3, 4] {
            backlog.add_bounced(n, 10);
        }
        let removed = backlog.take_overtaken(|n| *n < 4);
        assert_eq!((removed.unicasts, removed.bytes), (vec![2, 3], 20));
        assert_eq!(backlog.take().unicasts, [4, 1]);
    }
}
