//! The unicasts between two multicasts.
//!
//! Owns the backlog of each client within the segment, and the multicast that ends it. Must not know
//! other segments or bounds. Invariants: clients do not wait for each other; the multicast leaves after
//! every unicast of its segment; what was just handed out keeps its place until the next call, so that
//! nothing overtakes it while it is being sent.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::backlog::{ClientBacklog, Removed};

#[derive(Debug)]
pub(super) struct Segment<Unicast, Multicast, Lookup> {
    unicasts: HashMap<Arc<str>, ClientBacklog<Unicast, Lookup>>,
    /// Clients whose unicasts may leave, or have just left.
    ready: VecDeque<Arc<str>>,
    end: End<Multicast>,
}

/// What ends a segment.
#[derive(Debug)]
enum End<Multicast> {
    /// Nothing yet: it is the last segment.
    Open,
    Multicast(Multicast),
    /// A multicast that has just left.
    Left,
}

/// What a segment gives out next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<Unicast, Multicast, Lookup> {
    Unicasts(Removed<Unicast>, Lookup),
    Multicast(Multicast),
    /// Something waits for a lookup, or may bounce.
    Wait,
    /// Nothing is left.
    Done,
}

impl<Unicast, Multicast, Lookup: Clone> Segment<Unicast, Multicast, Lookup> {
    /// Whether a multicast ends it, so that what comes later belongs to the next segment.
    pub(super) fn is_closed(&self) -> bool {
        !matches!(self.end, End::Open)
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.unicasts.contains_key(id)
    }

    /// The backlog of a client, added if there is none.
    pub(super) fn backlog(&mut self, id: &Arc<str>) -> &mut ClientBacklog<Unicast, Lookup> {
        self.unicasts.entry(Arc::clone(id)).or_default()
    }

    /// The backlog of a client, if there is one.
    pub(super) fn backlog_of(&mut self, id: &str) -> Option<&mut ClientBacklog<Unicast, Lookup>> {
        self.unicasts.get_mut(id)
    }

    /// Ends the segment with a multicast.
    pub(super) fn close(&mut self, multicast: Multicast) {
        self.end = End::Multicast(multicast);
    }

    /// Ends the lookup of a client.
    pub(super) fn resolve(&mut self, id: &str, lookup: &Lookup) {
        if let Some(backlog) = self.unicasts.get_mut(id) {
            backlog.resolve(lookup);
            self.mark_ready(id);
        }
    }

    /// One node has returned all that bounces for a client.
    pub(super) fn all_bounced(&mut self, id: &str) {
        if let Some(backlog) = self.unicasts.get_mut(id) {
            backlog.all_bounced();
            self.mark_ready(id);
        }
    }

    /// Lists a client if its unicasts may leave.
    fn mark_ready(&mut self, id: &str) {
        if let Some((id, backlog)) = self.unicasts.get_key_value(id)
            && backlog.ready().is_some()
        {
            self.ready.push_back(Arc::clone(id));
        }
    }

    /// Gives out what may leave next.
    pub(super) fn next(&mut self) -> Next<Unicast, Multicast, Lookup> {
        while let Some(id) = self.ready.pop_front() {
            let Some(backlog) = self.unicasts.get_mut(&id) else {
                continue;
            };
            let Some(lookup) = backlog.ready().cloned() else {
                continue;
            };
            if backlog.is_empty() {
                self.unicasts.remove(&id);
                continue;
            }
            let removed = backlog.take();
            self.ready.push_front(id);
            return Next::Unicasts(removed, lookup);
        }
        if !self.unicasts.is_empty() {
            return Next::Wait;
        }
        match std::mem::replace(&mut self.end, End::Left) {
            End::Multicast(multicast) => Next::Multicast(multicast),
            End::Open | End::Left => Next::Done,
        }
    }
}

impl<Unicast, Multicast, Lookup> Default for Segment<Unicast, Multicast, Lookup> {
    fn default() -> Self {
        Self {
            unicasts: HashMap::new(),
            ready: VecDeque::new(),
            end: End::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestSegment = Segment<u32, &'static str, bool>;

    fn id(name: &str) -> Arc<str> {
        name.into()
    }

    fn unicasts(next: Next<u32, &str, bool>) -> Vec<u32> {
        match next {
            Next::Unicasts(removed, _) => removed.unicasts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_segment_is_done() {
        assert_eq!(TestSegment::default().next(), Next::Done);
    }

    #[test]
    fn clients_do_not_wait_for_each_other() {
        let mut segment = TestSegment::default();
        segment.backlog(&id("a")).enqueue(1, 1);
        segment.backlog(&id("b")).enqueue(2, 1);
        assert_eq!(segment.next(), Next::Wait);
        segment.resolve("b", &true);
        assert_eq!(unicasts(segment.next()), [2]);
        assert_eq!(segment.next(), Next::Wait);
        segment.resolve("a", &true);
        assert_eq!(unicasts(segment.next()), [1]);
        assert_eq!(segment.next(), Next::Done);
    }

    #[test]
    fn the_multicast_leaves_after_every_unicast() {
        let mut segment = TestSegment::default();
        segment.backlog(&id("a")).enqueue(1, 1);
        assert!(!segment.is_closed());
        segment.close("all");
        assert!(segment.is_closed());
        assert_eq!(segment.next(), Next::Wait);
        segment.resolve("a", &true);
        assert_eq!(unicasts(segment.next()), [1]);
        assert_eq!(segment.next(), Next::Multicast("all"));
        assert!(segment.is_closed(), "while it is being sent");
        assert_eq!(segment.next(), Next::Done);
    }

    #[test]
    fn what_was_handed_out_keeps_its_place_until_the_next_call() {
        let mut segment = TestSegment::default();
        segment.backlog(&id("a")).enqueue(1, 1);
        segment.resolve("a", &true);
        assert_eq!(unicasts(segment.next()), [1]);
        assert!(segment.has("a"));
        segment.backlog(&id("a")).enqueue(2, 1);
        assert_eq!(unicasts(segment.next()), [2]);
        assert_eq!(segment.next(), Next::Done);
        assert!(!segment.has("a"));
    }

    #[test]
    fn a_client_without_a_backlog_cannot_become_ready() {
        let mut segment = TestSegment::default();
        segment.resolve("a", &true);
        segment.all_bounced("a");
        assert_eq!(segment.next(), Next::Done);
    }
}
