//! Connections stand in pairs: the even one of each sends, the odd one receives.

use super::rule::{Ended, Rule};
use crate::{stamp::Stamp, template::partner};

/// Pairs, over so many connections.
#[derive(Debug)]
pub(super) struct Direct(pub(super) usize);

impl Rule for Direct {
    fn senders(&self) -> Vec<usize> {
        (0..self.0).step_by(2).collect()
    }

    fn sender_for(&self, at: usize) -> usize {
        partner(at)
    }

    fn left(&mut self, _: u32) -> u64 {
        1
    }

    /// What comes to a sender is no delivery: some servers send each their own words back.
    fn arrived(&mut self, at: usize, _: Stamp) -> Option<u32> {
        (at % 2 == 1).then_some(1)
    }

    fn ended(&mut self, at: usize) -> Ended {
        Ended {
            retired: Some(at - at % 2),
            ..Ended::default()
        }
    }
}
