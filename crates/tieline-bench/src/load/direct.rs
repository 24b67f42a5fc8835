//! Connections stand in pairs: the even one of each sends, the odd one receives.

use super::{
    pending::UnderWay,
    workload::{Arrival, Ended, Rule},
};
use crate::{partition::Share, stamp::Stamp, template::partner};

/// Pairs.
#[derive(Debug)]
pub(super) struct Direct {
    /// The number of the first connection of this process.
    first: usize,
    connections: usize,
    under_way: UnderWay,
}

impl Direct {
    pub(super) fn new(share: &Share) -> Self {
        Self {
            first: share.first,
            connections: share.connections,
            under_way: UnderWay::new(share.connections),
        }
    }
}

impl Rule for Direct {
    fn senders(&self) -> Vec<usize> {
        (0..self.connections).step_by(2).collect()
    }

    fn sender_for(&self, at: usize) -> usize {
        partner(at)
    }

    fn left(&mut self, sender: usize, sequence: u32) -> u64 {
        self.under_way.left(sender, sequence);
        1
    }

    /// A sender's own words are no delivery: some servers send them back.
    #[inline]
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Arrival {
        let sender = at - at % 2;
        if stamp.from as usize != self.first + sender {
            return Arrival::Misdelivered;
        }
        if at == sender {
            return Arrival::Ignored;
        }
        if self.under_way.arrived(sender, stamp.sequence) {
            Arrival::Taken(1)
        } else {
            Arrival::Repeated
        }
    }

    fn ended(&mut self, at: usize) -> Ended {
        Ended {
            retired: Some(at - at % 2),
            ..Ended::default()
        }
    }
}
