//! In each pair of connections, the even one sends and the odd one receives.
//!
//! Owns which messages of a pair are in flight. Must not know sockets, times or rates. Invariant: both
//! connections of a pair are in the same process.

use super::{
    pending::PendingMessages,
    workload::{Arrival, Completed, Disconnected, Workload},
};
use crate::{partition::Partition, stamp::Stamp};

/// The pairs of a process.
#[derive(Debug)]
pub(super) struct Direct {
    /// The number of the first connection of this process.
    first: usize,
    connections: usize,
    /// Connections at the start that send nothing here.
    silent: usize,
    pending: PendingMessages,
}

impl Direct {
    /// The pairs after the first `silent` connections, an even number.
    pub(super) fn new(partition: &Partition, silent: usize) -> Self {
        Self {
            first: partition.first,
            connections: partition.connections,
            silent,
            pending: PendingMessages::new(partition.connections),
        }
    }
}

impl Workload for Direct {
    fn senders(&self) -> Vec<usize> {
        (self.silent..self.connections).step_by(2).collect()
    }

    fn on_sent(&mut self, sender: usize, sequence: u32) -> u64 {
        self.pending.on_sent(sender, sequence);
        1
    }

    /// A message that comes back to its sender is not a delivery: some servers echo it.
    #[inline]
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival {
        let sender = at - at % 2;
        if stamp.from as usize != self.first + sender {
            return Arrival::Misdelivered;
        }
        if at == sender {
            return Arrival::Ignored;
        }
        if self.pending.on_arrival(sender, stamp.sequence) {
            Arrival::Accepted(Completed { sender, count: 1 })
        } else {
            Arrival::Duplicate
        }
    }

    fn on_end(&mut self, at: usize) -> Disconnected {
        Disconnected {
            retired: Some(at - at % 2),
            ..Disconnected::default()
        }
    }
}
