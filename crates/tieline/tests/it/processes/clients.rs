//! The clients of one test, including those that disconnected or were refused.

use tokio::time::Instant;

use super::{
    client::{Client, ConnectError},
    node_process::NodeProcess,
};

/// All clients of a test, past and present.
#[derive(Default)]
pub(super) struct Clients {
    all: Vec<Client>,
    /// The ids of clients that were not accepted, and when their attempt ended.
    failed: Vec<(String, Instant)>,
}

impl Clients {
    /// Connects `count` clients to each node, with new ids.
    pub(super) async fn fill(&mut self, nodes: &[&NodeProcess], count: usize) {
        let first = self.all.len();
        let ids: Vec<_> = (first..first + count * nodes.len())
            .map(|n| format!("g{n}"))
            .collect();
        for (ids, node) in ids.chunks(count).zip(nodes) {
            let connecting = ids.iter().map(|id| Client::connect(node, id));
            for result in futures_util::future::join_all(connecting).await {
                self.all.push(result.unwrap());
            }
        }
    }

    /// Connects a client, unless the node refuses it.
    pub(super) async fn connect(
        &mut self,
        node: &NodeProcess,
        id: &str,
    ) -> Result<(), ConnectError> {
        let result = Client::connect(node, id).await;
        self.record(id, result)
    }

    /// Connects a client that is connected elsewhere, or was. The clock of a node is behind by the time
    /// of the registry's fastest answer, which is long on a busy machine: as long as the node takes the
    /// old connection for the newer one, it tells the client to reconnect.
    pub(super) async fn move_to(&mut self, node: &NodeProcess, id: &str) {
        while let Err(error) = self.connect(node, id).await {
            let ConnectError::Refused(503, why) = error else {
                panic!("{id}: {error:?}")
            };
            assert!(why.contains("a newer connection"), "{id}: {why}");
        }
    }

    /// Records the result of connecting a client.
    pub(super) fn record(
        &mut self,
        id: &str,
        result: Result<Client, ConnectError>,
    ) -> Result<(), ConnectError> {
        match result {
            Ok(client) => {
                self.all.push(client);
                Ok(())
            }
            Err(error) => {
                self.failed.push((id.to_owned(), Instant::now()));
                Err(error)
            }
        }
    }

    /// The connected clients.
    pub(super) fn connected(&self) -> impl Iterator<Item = &Client> {
        self.all.iter().filter(|client| client.is_connected())
    }

    /// The ids of the clients that are connected to a node.
    pub(super) fn ids_at(&self, node: &NodeProcess) -> Vec<String> {
        let there = self
            .connected()
            .filter(|client| client.node == node.address());
        there.map(|client| client.id.clone()).collect()
    }

    /// The newest client with an id.
    pub(super) fn newest(&self, id: &str) -> &Client {
        let mut newest_first = self.all.iter().rev();
        newest_first.find(|client| client.id == id).unwrap()
    }

    pub(super) fn all(&self) -> &[Client] {
        &self.all
    }

    /// When other clients with the same id were accepted, or their attempt ended.
    pub(super) fn others<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = Instant> + 'a {
        let is_other = |other: &&Client| other.id == client.id && !std::ptr::eq(*other, client);
        let connected_at = self
            .all
            .iter()
            .filter(is_other)
            .map(|client| client.connected_at);
        let failed = self.failed.iter().filter(|(id, _)| *id == client.id);
        connected_at.chain(failed.map(|(_, at)| *at))
    }
}
