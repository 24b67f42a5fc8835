//! Messages in pairs while broadcasts run: what one kind of traffic costs the other.
//!
//! Owns which of the two a message belongs to. The first pair of connections only broadcasts; from the
//! second pair on, the first of each pair sends to the second. All receive the broadcasts. Must not know
//! sockets, times or rates. Invariant: a connection sends messages of one kind only, so the sender of a
//! message tells its kind.

use super::{
    broadcast::Broadcast,
    direct::Direct,
    workload::{Arrival, Disconnected, Workload},
};
use crate::{
    partition::{BROADCASTERS, Partition},
    stamp::Stamp,
};

/// The flow of the messages in pairs, and that of the broadcasts.
const DIRECT: usize = 0;
const BROADCAST: usize = 1;

/// Pairs and broadcasts of a process.
#[derive(Debug)]
pub(super) struct Mixed {
    /// The number of the first connection of this process.
    first: usize,
    direct: Direct,
    broadcast: Broadcast,
}

impl Mixed {
    pub(super) fn new(partition: &Partition) -> Self {
        let broadcasters = match partition.first {
            0 => BROADCASTERS.min(partition.connections),
            _ => 0,
        };
        Self {
            first: partition.first,
            direct: Direct::new(partition, broadcasters),
            broadcast: Broadcast::new(partition.connections, broadcasters),
        }
    }
}

impl Workload for Mixed {
    fn senders(&self) -> Vec<usize> {
        [self.broadcast.senders(), self.direct.senders()].concat()
    }

    #[inline]
    fn flow(&self, sender: usize) -> usize {
        if sender < BROADCASTERS {
            BROADCAST
        } else {
            DIRECT
        }
    }

    fn on_sent(&mut self, sender: usize, sequence: u32) -> u64 {
        match self.flow(self.first + sender) {
            DIRECT => self.direct.on_sent(sender, sequence),
            _ => self.broadcast.on_sent(sender, sequence),
        }
    }

    #[inline]
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival {
        match self.flow(stamp.from as usize) {
            DIRECT => self.direct.on_arrival(at, stamp),
            _ => self.broadcast.on_arrival(at, stamp),
        }
    }

    fn on_end(&mut self, at: usize) -> Disconnected {
        let ended = self.broadcast.on_end(at);
        match self.flow(self.first + at) {
            DIRECT => Disconnected {
                completed: ended.completed,
                ..self.direct.on_end(at)
            },
            _ => ended,
        }
    }

    fn outstanding(&self, issued: u64) -> u64 {
        self.broadcast.outstanding(issued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::workload::Completed, validate::tests::plan};

    fn mixed(first: usize) -> Mixed {
        let mut partition = Partition::whole(&plan());
        (partition.first, partition.connections) = (first, 6);
        Mixed::new(&partition)
    }

    fn accepted(mixed: &mut Mixed, at: usize, from: u32) -> Completed {
        let stamp = Stamp {
            time: 0,
            sequence: 0,
            from,
        };
        match mixed.on_arrival(at, stamp) {
            Arrival::Accepted(completed) => completed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_pair_broadcasts_and_the_others_send_in_pairs() {
        let mut mixed = mixed(0);
        assert_eq!(mixed.senders(), [0, 2, 4]);
        assert_eq!((mixed.on_sent(0, 0), mixed.on_sent(2, 0)), (6, 1));
        assert_eq!(accepted(&mut mixed, 3, 2).count, 1);
        for at in 0..5 {
            assert_eq!(accepted(&mut mixed, at, 0).count, 0);
        }
        let last = Completed {
            sender: 0,
            count: 1,
        };
        assert_eq!(accepted(&mut mixed, 5, 0), last);
    }

    #[test]
    fn an_ended_broadcaster_is_replaced_once() {
        let mut mixed = mixed(0);
        let first = mixed.on_end(0);
        assert_eq!((first.retired, first.successor), (Some(0), Some(1)));
        let second = mixed.on_end(1);
        assert_eq!((second.retired, second.successor), (Some(1), None));
        assert_eq!(mixed.on_end(3).retired, Some(2));
    }

    #[test]
    fn another_process_only_receives_broadcasts() {
        let mut mixed = mixed(6);
        assert_eq!(mixed.senders(), [0, 2, 4]);
        assert_eq!(mixed.outstanding(1), 6);
        accepted(&mut mixed, 0, 0);
        assert_eq!(mixed.outstanding(1), 5);
    }
}
