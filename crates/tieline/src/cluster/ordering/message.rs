//! What the queue has to know of what it orders, and where it hands it.

use std::sync::Arc;

use tokio::time::Instant;

use super::sender::SenderId;

/// A message that may have to wait.
pub(in crate::cluster) trait Message {
    /// Who sent it.
    fn sender(&self) -> SenderId;
    /// When.
    fn started(&self) -> Instant;
    /// What it counts for while it waits.
    fn bytes(&self) -> usize;
}

/// A message to one client.
pub(in crate::cluster) trait ClientMessage: Message {
    fn id(&self) -> &Arc<str>;
    /// The hash of the id: the same for all messages to a client.
    fn hash(&self) -> u64;
    /// Its place among the messages to its client.
    fn order(&self) -> u64;
    fn set_order(&mut self, order: u64);
}

/// A lookup that the caller is to start.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cluster) struct PendingLookup {
    /// The client.
    pub(in crate::cluster) id: Arc<str>,
    pub(super) hash: u64,
    /// Tells it from earlier lookups of the same client, whose answers are too old.
    pub(super) number: u64,
}

/// The result of looking up a client.
pub(in crate::cluster) trait Destination: Clone {
    /// The address of the node that it leads to.
    fn address(&self) -> Option<&Arc<str>>;
}

/// Takes what leaves the queue. Called under no lock.
pub(in crate::cluster) trait Outlet<Unicast, Multicast, Lookup> {
    /// Its client is looked up, and nothing is before it.
    fn dispatch(&self, unicast: Box<Unicast>, lookup: &Lookup);
    /// The messages to many that it waited for have left: it is to be
    /// [resumed](super::OrderingQueue::resume).
    fn resume(&self, unicast: Box<Unicast>);
    /// Nothing of its sender is before it.
    fn multicast(&self, multicast: Multicast);
    /// It has waited for too long, or what was sent after it has arrived: it must not be delivered.
    fn give_up(&self, unicast: Box<Unicast>);
}
