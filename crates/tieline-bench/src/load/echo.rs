//! Each sends, and waits for the same to come back.

use super::{
    pending::UnderWay,
    workload::{Arrival, Ended, Rule},
};
use crate::{partition::Share, stamp::Stamp};

/// Echo.
#[derive(Debug)]
pub(super) struct Echo {
    /// The number of the first connection of this process.
    first: usize,
    connections: usize,
    under_way: UnderWay,
}

impl Echo {
    pub(super) fn new(share: &Share) -> Self {
        Self {
            first: share.first,
            connections: share.connections,
            under_way: UnderWay::new(share.connections),
        }
    }
}

impl Rule for Echo {
    fn senders(&self) -> Vec<usize> {
        (0..self.connections).collect()
    }

    fn sender_for(&self, at: usize) -> usize {
        at
    }

    fn left(&mut self, sender: usize, sequence: u32) -> u64 {
        self.under_way.left(sender, sequence);
        1
    }

    #[inline]
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Arrival {
        if stamp.from as usize != self.first + at {
            return Arrival::Misdelivered;
        }
        if self.under_way.arrived(at, stamp.sequence) {
            Arrival::Taken(1)
        } else {
            Arrival::Repeated
        }
    }

    fn ended(&mut self, at: usize) -> Ended {
        Ended {
            retired: Some(at),
            ..Ended::default()
        }
    }
}
