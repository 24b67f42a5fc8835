//! What differs between the scenarios that send messages.
//!
//! Owns the trait that the scenarios implement. Must not know sockets, times or
//! rates: `traffic` sends, paces and counts.

use crate::stamp::Stamp;

/// Which connections send, and what an arrival means. Connections are identified by their index.
pub(super) trait Workload {
    /// The initial senders.
    fn senders(&self) -> Vec<usize>;

    /// The flow of the messages of a sender, by its number among the connections of all processes.
    #[inline]
    fn flow(&self, _sender: usize) -> usize {
        0
    }

    /// A message is sent; yields how many arrivals to expect.
    fn on_sent(&mut self, sender: usize, sequence: u32) -> u64;

    /// A message has arrived at `at`.
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival;

    /// A connection has ended.
    fn on_end(&mut self, at: usize) -> Disconnected;

    /// How many messages are missing of `issued` that another process has sent, which
    /// [`on_sent`](Self::on_sent) does not count.
    fn outstanding(&self, _issued: u64) -> u64 {
        0
    }
}

/// Messages of a sender that are complete, so that it may send as many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Completed {
    pub(super) sender: usize,
    pub(super) count: u32,
}

/// What an arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Expected; may complete messages.
    Accepted(Completed),
    /// For another connection.
    Misdelivered,
    /// Arrived before.
    Duplicate,
    /// Not from this load.
    Ignored,
}

/// The consequences of the end of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disconnected {
    /// The connection that stops sending.
    pub(super) retired: Option<usize>,
    /// The connection that sends instead.
    pub(super) successor: Option<usize>,
    /// The messages that complete because of it.
    pub(super) completed: Completed,
}
