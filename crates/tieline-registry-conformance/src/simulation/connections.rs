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
    /// A connection of [`ID`] arrives and is accepted.
    pub(crate) fn connect(&mut self, node: usize, number: u32) {
        self.connect_as(node, number, ID);
    }

    pub(crate) fn connect_as(&mut self, node: usize, number: u32, name: &str) {
        let stamp = self.arrive(number, name);
        self.accept(node, number, name, stamp);
    }

    /// A connection arrives and waits to be accepted. Its stamp is that of its arrival.
    pub(crate) fn arrive(&mut self, number: u32, name: &str) -> Stamp {
        self.newest.insert(client_id(name), number);
        self.now()
    }

    /// A connection that has arrived is accepted. An older one on the same node closes.
    pub(crate) fn accept(&mut self, node: usize, number: u32, name: &str, stamp: Stamp) {
        let node = &mut self.nodes[node];
        node.connections.insert(
            client_id(name),
            Connection {
                number,
                stamp,
                granted: false,
            },
        );
        node.table.connect(&client_id(name), stamp, number, false);
    }

    pub(crate) fn disconnect(&mut self, node: usize) {
        self.disconnect_as(node, ID);
    }

    pub(crate) fn disconnect_as(&mut self, node: usize, name: &str) {
        let node = &mut self.nodes[node];
        let ended = node
            .connections
            .remove(name)
            .expect("the scenario ends a connection that exists");
        node.table
            .disconnect(name, |number| *number == ended.number);
    }

    /// The client connects to a legacy node, which writes its address without a stamp or a
    /// comparison.
    pub(crate) async fn connect_to_legacy_node(&mut self, number: u32) {
        let address = "go.test:8000";
        self.newest.insert(client_id(ID), number);
        self.foreign.insert(client_id(ID), address.into());
        expect_reply(self.registry.set(ID, address).await);
    }

    /// A newer connection has taken the id. The legacy node is not notified.
    pub(crate) fn forget_legacy_connection(&mut self) {
        self.foreign.remove(ID);
    }

    /// The client leaves the legacy node, which deletes the entry, no matter who wrote it.
    pub(crate) async fn disconnect_from_legacy_node(&mut self) {
        self.foreign.remove(ID);
        expect_reply(self.registry.delete(ID).await);
    }
}
