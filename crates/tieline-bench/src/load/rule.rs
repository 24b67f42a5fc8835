//! What distinguishes the scenarios that send messages: who sends, and what an arrival means.

use crate::stamp::Stamp;

/// Who sends, and what an arrival means. Connections go by their index.
pub(super) trait Rule {
    /// Who sends, at first.
    fn senders(&self) -> Vec<usize>;

    /// Who sends the next message when one of those that `at` receives is over.
    fn sender_for(&self, at: usize) -> usize;

    /// A message has left; says how many receive it.
    fn left(&mut self, sequence: u32) -> u64;

    /// A message came to `at`; says how many are over by that, or that it is none of this load's.
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Option<u32>;

    /// A connection has ended.
    fn ended(&mut self, at: usize) -> Ended;

    /// How many should have arrived by now that were not announced by [`left`](Self::left), where
    /// another process sends, and has sent `issued`.
    fn awaited(&self, _issued: u64) -> u64 {
        0
    }
}

/// What follows from a connection's end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// It sends no more.
    pub(super) retired: Option<usize>,
    /// It sends in its place.
    pub(super) successor: Option<usize>,
    /// So many messages are over by that.
    pub(super) over: u32,
}
