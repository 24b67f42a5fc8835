//! What distinguishes the scenarios that send messages: who sends, and what an arrival means.

use crate::stamp::Stamp;

/// Who sends, and what an arrival means. Connections go by their index.
pub(super) trait Rule {
    /// Who sends, at first.
    fn senders(&self) -> Vec<usize>;

    /// Who sends the next message when one of those that `at` receives is over.
    fn sender_for(&self, at: usize) -> usize;

    /// A message has left; says how many receive it.
    fn left(&mut self, sender: usize, sequence: u32) -> u64;

    /// A message came to `at`.
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Arrival;

    /// A connection has ended.
    fn ended(&mut self, at: usize) -> Ended;

    /// How many should have arrived by now that were not announced by [`left`](Self::left), where
    /// another process sends, and has sent `issued`.
    fn awaited(&self, _issued: u64) -> u64 {
        0
    }
}

/// What a message is to whom it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was awaited; so many messages are over by that.
    Taken(u32),
    /// It was for another connection.
    Misdelivered,
    /// It had come before.
    Repeated,
    /// It is none of this load's.
    Ignored,
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
