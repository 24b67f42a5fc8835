//! Every connection sends to its room, and all members of the room receive. A sender's own copy makes
//! room for its next message; where senders get none, the copy of the next member does.
//!
//! Owns which copies a receiver has seen. Must not know sockets, times or rates. Invariants: a room is in
//! one process, and a copy that is older than another one from the same sender is a duplicate: servers
//! keep the order from one sender to one receiver.

use super::{
    pending::PendingMessages,
    workload::{Arrival, Completed, Disconnected, Workload},
};
use crate::{partition::Partition, stamp::Stamp};

/// The rooms of a process.
#[derive(Debug)]
pub(super) struct Rooms {
    /// The number of the first connection of this process.
    first: usize,
    connections: usize,
    /// Members of a room, and how many of them send.
    room: usize,
    senders: usize,
    /// Senders get copies of their messages.
    own_copies: bool,
    /// Open members of each room.
    alive: Vec<u64>,
    /// For each receiver and each sender of its room, the lowest sequence number that is new.
    next: Vec<u32>,
    /// The messages of which the sender's own copy is missing.
    pending: PendingMessages,
}

impl Rooms {
    pub(super) fn new(partition: &Partition) -> Self {
        let (connections, room) = (partition.connections, partition.plan.room.max(1));
        let senders = partition.plan.senders.min(room);
        let size = |first: usize| room.min(connections - first) as u64;
        Self {
            first: partition.first,
            connections,
            room,
            senders,
            own_copies: partition.plan.wire.has_own_copies(),
            alive: (0..connections).step_by(room).map(size).collect(),
            next: vec![0; connections * senders],
            pending: PendingMessages::new(connections),
        }
    }

    /// The index of the sender, if it sends to the room of `at`.
    #[inline]
    fn sender(&self, at: usize, stamp: Stamp) -> Option<usize> {
        let sender = (stamp.from as usize).checked_sub(self.first)?;
        let together = sender / self.room == at / self.room && sender % self.room < self.senders;
        together.then_some(sender)
    }

    /// Whose copy completes a message.
    #[inline]
    fn completes(&self, sender: usize) -> usize {
        if self.own_copies {
            return sender;
        }
        let first = sender - sender % self.room;
        match sender + 1 {
            next if next < self.connections.min(first + self.room) => next,
            _ => first,
        }
    }
}

impl Workload for Rooms {
    fn senders(&self) -> Vec<usize> {
        let sends = |at: &usize| at % self.room < self.senders;
        (0..self.connections).filter(sends).collect()
    }

    fn on_sent(&mut self, sender: usize, sequence: u32) -> u64 {
        self.pending.on_sent(sender, sequence);
        self.alive[sender / self.room] - u64::from(!self.own_copies)
    }

    #[inline]
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival {
        let Some(sender) = self.sender(at, stamp) else {
            return Arrival::Misdelivered;
        };
        if at == self.completes(sender) {
            return if self.pending.on_arrival(sender, stamp.sequence) {
                Arrival::Accepted(Completed { sender, count: 1 })
            } else {
                Arrival::Duplicate
            };
        }
        let next = &mut self.next[at * self.senders + sender % self.room];
        // Sequence numbers wrap at 2^32.
        if stamp.sequence.wrapping_sub(*next) > u32::MAX / 2 {
            return Arrival::Duplicate;
        }
        *next = stamp.sequence.wrapping_add(1);
        Arrival::Accepted(Completed::default())
    }

    fn on_end(&mut self, at: usize) -> Disconnected {
        self.alive[at / self.room] -= 1;
        Disconnected {
            retired: Some(at),
            ..Disconnected::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Scenario, validate::tests::plan};

    /// Five connections, from number 6 on, in rooms of three.
    fn rooms(senders: usize) -> Rooms {
        let mut plan = plan();
        (plan.scenario, plan.room, plan.senders) = (Scenario::Rooms, 3, senders);
        let mut partition = Partition::whole(&plan);
        (partition.first, partition.connections) = (6, 5);
        Rooms::new(&partition)
    }

    fn stamp(from: u32, sequence: u32) -> Stamp {
        Stamp {
            time: 0,
            sequence,
            from,
        }
    }

    fn accepted(count: u32) -> Arrival {
        Arrival::Accepted(Completed { sender: 0, count })
    }

    #[test]
    fn all_members_are_expected_and_the_own_copy_completes() {
        let mut rooms = rooms(3);
        assert_eq!((rooms.on_sent(0, 7), rooms.on_sent(3, 8)), (3, 2));
        assert_eq!(rooms.on_arrival(1, stamp(6, 7)), accepted(0));
        assert_eq!(rooms.on_arrival(0, stamp(6, 7)), accepted(1));
        rooms.on_end(1);
        assert_eq!(rooms.on_sent(0, 9), 2);
    }

    #[test]
    fn the_next_member_completes_where_senders_get_no_copies() {
        let mut rooms = rooms(3);
        rooms.own_copies = false;
        assert_eq!((rooms.on_sent(2, 7), rooms.on_sent(4, 8)), (2, 1));
        assert_eq!(rooms.on_arrival(1, stamp(8, 7)), accepted(0));
        let completed = |sender| Arrival::Accepted(Completed { sender, count: 1 });
        assert_eq!(rooms.on_arrival(0, stamp(8, 7)), completed(2));
        assert_eq!(rooms.on_arrival(0, stamp(8, 7)), Arrival::Duplicate);
        assert_eq!(rooms.on_arrival(3, stamp(10, 8)), completed(4));
    }

    #[test]
    fn a_copy_counts_once() {
        let mut rooms = rooms(3);
        rooms.on_sent(0, 0);
        rooms.on_sent(0, 1);
        for (at, sequence) in [(0, 0), (1, 1)] {
            rooms.on_arrival(at, stamp(6, sequence));
            assert_eq!(
                rooms.on_arrival(at, stamp(6, sequence)),
                Arrival::Duplicate,
                "{at}"
            );
        }
        // Those of another sender are new.
        assert_eq!(rooms.on_arrival(1, stamp(8, 0)), accepted(0));
    }

    #[test]
    fn other_rooms_and_silent_members_are_misdelivered() {
        let mut rooms = rooms(1);
        assert_eq!(rooms.senders(), [0, 3]);
        for from in [0, 7, 9] {
            assert_eq!(rooms.on_arrival(1, stamp(from, 0)), Arrival::Misdelivered);
        }
        assert_eq!(rooms.on_arrival(1, stamp(6, 0)), accepted(0));
    }
}
