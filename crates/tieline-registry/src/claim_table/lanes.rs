//! The ids that wait for a request, in two queues.
//!
//! Owns their order and their bound. An id may be in a queue more than once, or need nothing any more;
//! the table then looks at its entry. Invariant: a queue holds at most twice as many ids as the
//! table, and [`SPARE`] more. So it does not remember every connection of an outage, during which
//! nothing is taken out.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::id::ClientId;

/// Ids that a queue may hold beyond twice the number of entries.
const SPARE: usize = 1024;

/// How soon a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Connections that arrive or end: at once, together with everything that waits.
    Urgent,
    /// Repeated claims, audits and sweeps: at the driver's pace.
    Slow,
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    urgent: VecDeque<ClientId>,
    slow: VecDeque<ClientId>,
}

impl Lanes {
    /// Adds an id. `entries` are the ids of the table: if the queue is full, ids that are not among
    /// them are dropped, and so are repetitions.
    pub(super) fn push<E>(&mut self, lane: Lane, id: ClientId, entries: &HashMap<ClientId, E>) {
        let limit = 2 * entries.len() + SPARE;
        let queue = self.queue(lane);
        queue.push_back(id);
        if queue.len() > limit {
            let mut seen = HashSet::with_capacity(entries.len());
            queue.retain(|id| entries.contains_key(id) && seen.insert(id.clone()));
        }
    }

    pub(super) fn pop(&mut self, lane: Lane) -> Option<ClientId> {
        self.queue(lane).pop_front()
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        match lane {
            Lane::Urgent => self.urgent.len(),
            Lane::Slow => self.slow.len(),
        }
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<ClientId> {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Slow => &mut self.slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ClientId {
        ClientId::new(n.to_string()).unwrap()
    }

    #[test]
    fn ids_leave_in_the_order_in_which_they_came() {
        let entries: HashMap<_, _> = (0..3).map(|n| (id(n), n)).collect();
        let mut lanes = Lanes::default();
        for n in [2, 0, 1] {
            lanes.push(Lane::Urgent, id(n), &entries);
        }
        lanes.push(Lane::Slow, id(9), &entries);
        assert_eq!((lanes.len(Lane::Urgent), lanes.len(Lane::Slow)), (3, 1));
        let taken = std::iter::from_fn(|| lanes.pop(Lane::Urgent));
        assert_eq!(taken.collect::<Vec<_>>(), [id(2), id(0), id(1)]);
    }

    #[test]
    fn a_full_queue_drops_repetitions_and_ids_without_an_entry() {
        let entries: HashMap<_, _> = [(id(0), 0)].into();
        let mut lanes = Lanes::default();
        for n in 0..10_000 {
            lanes.push(Lane::Slow, id(n % 2), &entries);
            assert!(lanes.len(Lane::Slow) <= 2 + SPARE);
        }
        assert_eq!(lanes.pop(Lane::Slow), Some(id(0)));
    }
}
