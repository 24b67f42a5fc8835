//! What a simulated ordering queue carries: numbered messages, and the nodes that lookups lead to.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cluster::ordering::{ClientMessage, Destination, Message, SenderId};

/// A numbered message.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) client: usize,
    pub(super) id: Arc<str>,
    pub(super) number: u32,
    pub(super) sender: SenderId,
    pub(super) started: Instant,
    pub(super) order: u64,
    pub(super) hops: u8,
    pub(super) is_cached: bool,
}

impl Message for Numbered {
    fn sender(&self) -> SenderId {
        self.sender
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn bytes(&self) -> usize {
        1
    }
}

impl ClientMessage for Numbered {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn hash(&self) -> u64 {
        // All in one shard, and two that collide.
        0
    }

    fn order(&self) -> u64 {
        self.order
    }

    fn set_order(&mut self, order: u64) {
        self.order = order;
    }
}

/// The node that a lookup leads to.
#[derive(Debug, Clone)]
pub(super) struct Node(pub(super) usize, pub(super) Arc<str>);

impl Node {
    pub(super) fn new(node: usize) -> Self {
        Self(node, node.to_string().into())
    }
}

impl Destination for Node {
    fn address(&self) -> Option<&Arc<str>> {
        Some(&self.1)
    }
}
