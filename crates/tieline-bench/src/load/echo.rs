//! Each sends, and waits for the same to come back.

use super::rule::{Ended, Rule};
use crate::stamp::Stamp;

/// Echo, over so many connections.
#[derive(Debug)]
pub(super) struct Echo(pub(super) usize);

impl Rule for Echo {
    fn senders(&self) -> Vec<usize> {
        (0..self.0).collect()
    }

    fn sender_for(&self, at: usize) -> usize {
        at
    }

    fn left(&mut self, _: u32) -> u64 {
        1
    }

    fn arrived(&mut self, _: usize, _: Stamp) -> Option<u32> {
        Some(1)
    }

    fn ended(&mut self, at: usize) -> Ended {
        Ended {
            retired: Some(at),
            ..Ended::default()
        }
    }
}
