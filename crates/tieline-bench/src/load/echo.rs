//! Every connection sends and waits for the echo.
//!
//! Owns which messages of a connection are in flight. Must not know sockets, times or rates. Invariant:
//! a message that another connection sent is misdelivered and never counts as an echo.

use super::{
    pending::PendingMessages,
    workload::{Arrival, Completed, Disconnected, Workload},
};
use crate::{partition::Partition, stamp::Stamp};

/// The echoes of a process.
#[derive(Debug)]
pub(super) struct Echo {
    /// The number of the first connection of this process.
    first: usize,
    connections: usize,
    pending: PendingMessages,
}

impl Echo {
    pub(super) fn new(partition: &Partition) -> Self {
        Self {
            first: partition.first,
            connections: partition.connections,
            pending: PendingMessages::new(partition.connections),
        }
    }
}

impl Workload for Echo {
    fn senders(&self) -> Vec<usize> {
        (0..self.connections).collect()
    }

    fn on_sent(&mut self, sender: usize, sequence: u32) -> u64 {
        self.pending.on_sent(sender, sequence);
        1
    }

    #[inline]
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival {
        if stamp.from as usize != self.first + at {
            return Arrival::Misdelivered;
        }
        if self.pending.on_arrival(at, stamp.sequence) {
            Arrival::Accepted(Completed {
                sender: at,
                count: 1,
            })
        } else {
            Arrival::Duplicate
        }
    }

    fn on_end(&mut self, at: usize) -> Disconnected {
        Disconnected {
            retired: Some(at),
            ..Disconnected::default()
        }
    }
}
