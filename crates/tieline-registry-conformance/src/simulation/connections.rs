//! Connections that arrive, are accepted and end, on simulated nodes and on a legacy node.
//!
//! Invariant: `newest` names the last connection of each client, on whatever node it is.

use tieline_registry::Stamp;

use super::{
    node::Connection,
    state::{ID, Simulation},
};
use crate::expect::{client_id, expect_reply};

impl Simulation<'_> {
    /// A connection arrives and is accepted.
    pub(crate) fn connect(&mut self, node: usize, number: u32) {
        self.connect_as(node, number, ID);
    }

    pub(crate) fn connect_as(&mut self, node: usize, number: u32, name: &str) {
        let stamp = self.arrive(number, name);
        self.accept(node, number, name, stamp);
    }

    /// A connection arrives, and waits to be accepted.
    pub(crate) fn arrive(&mut self, number: u32, name: &str) -> Stamp {
        self.newest.insert(client_id(name), number);
        self.now()
    }

    /// A connection that has arrived is accepted; an older one here closes.
    pub(crate) fn accept(&mut self, node: usize, number: u32, name: &str, stamp: Stamp) {
        let node = &mut self.nodes[node];
        node.live
            .insert(client_id(name), Connection { number, stamp });
        node.table.connect(&client_id(name), stamp, number, false);
    }

    pub(crate) fn disconnect(&mut self, node: usize) {
        self.disconnect_as(node, ID);
    }

    pub(crate) fn disconnect_as(&mut self, node: usize, name: &str) {
        let node = &mut self.nodes[node];
        let live = node.live.remove(name).expect("a connection to end");
        node.table.disconnect(name, |number| *number == live.number);
    }

    /// A client connects to a node that knows no stamps and writes unconditionally.
    pub(crate) async fn connect_to_legacy_node(&mut self, number: u32) {
        let address = "go.test:8000";
        self.newest.insert(client_id(ID), number);
        self.foreign.insert(client_id(ID), address.into());
        expect_reply(self.registry.set(ID, address).await);
    }

    /// A newer connection is here; the foreign node will not be told.
    pub(crate) fn forget_legacy_connection(&mut self) {
        self.foreign.remove(ID);
    }

    /// It disconnects there, which deletes the entry, whosever it is.
    pub(crate) async fn disconnect_from_legacy_node(&mut self) {
        self.foreign.remove(ID);
        expect_reply(self.registry.delete(ID).await);
    }
}
