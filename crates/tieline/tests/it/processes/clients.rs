//! The clients of one test, those that left and those that were not let in included.

use tokio::time::Instant;

use super::{
    client::{Client, ConnectError},
    node_process::NodeProcess,
};

/// All clients that a test ever had.
#[derive(Default)]
pub(super) struct Clients {
    all_clients: Vec<Client>,
    /// The ids of those who were not let in, and when they gave up.
    failed: Vec<(String, Instant)>,
}

impl Clients {
    /// Lets in `count` clients on each node, with ids that nobody else has.
    pub(super) async fn fill(&mut self, nodes: &[&NodeProcess], count: usize) {
        let first = self.all_clients.len();
        let ids: Vec<_> = (first..first + count * nodes.len())
            .map(|n| format!("g{n}"))
            .collect();
        for (ids, node) in ids.chunks(count).zip(nodes) {
            let connecting = ids.iter().map(|id| Client::connect(node, id));
            for connected_at in futures_util::future::join_all(connecting).await {
                self.all_clients.push(connected_at.unwrap());
            }
        }
    }

    /// A client connects, if the node lets it.
    pub(super) async fn connect(
        &mut self,
        node: &NodeProcess,
        id: &str,
    ) -> Result<(), ConnectError> {
        let result = Client::connect(node, id).await;
        self.record(id, result)
    }

    /// A client was let in, or not.
    pub(super) fn record(
        &mut self,
        id: &str,
        connected_at: Result<Client, ConnectError>,
    ) -> Result<(), ConnectError> {
        match connected_at {
            Ok(client) => {
                self.all_clients.push(client);
                Ok(())
            }
            Err(failed) => {
                self.failed.push((id.to_owned(), Instant::now()));
                Err(failed)
            }
        }
    }

    /// Those who are connected.
    pub(super) fn connected(&self) -> impl Iterator<Item = &Client> {
        self.all_clients
            .iter()
            .filter(|client| client.is_connected())
    }

    /// The ids of those who are connected to a node.
    pub(super) fn ids_at(&self, node: &NodeProcess) -> Vec<String> {
        let there = self
            .connected()
            .filter(|client| client.node == node.address());
        there.map(|client| client.id.clone()).collect()
    }

    /// The last client with an id.
    pub(super) fn newest(&self, id: &str) -> &Client {
        let mut newest_first = self.all_clients.iter().rev();
        newest_first.find(|client| client.id == id).unwrap()
    }

    pub(super) fn all(&self) -> &[Client] {
        &self.all_clients
    }

    /// When others with the id of a client were let in, or gave up.
    pub(super) fn others<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = Instant> + 'a {
        let is_other = |other: &&Client| other.id == client.id && !std::ptr::eq(*other, client);
        let connected_at = self
            .all_clients
            .iter()
            .filter(is_other)
            .map(|client| client.connected_at);
        let failed = self.failed.iter().filter(|(id, _)| *id == client.id);
        connected_at.chain(failed.map(|(_, at)| *at))
    }
}
