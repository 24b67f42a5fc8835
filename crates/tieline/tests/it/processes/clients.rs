//! The clients of one test, those that left and those that were not let in included.

use tokio::time::Instant;

use super::{
    node_process::Process,
    client::{Guest, Refused},
};

/// All clients that a test ever had.
#[derive(Default)]
pub(super) struct Party {
    guests: Vec<Guest>,
    /// The ids of those who were not let in, and when they gave up.
    refused: Vec<(String, Instant)>,
}

impl Party {
    /// Lets in `count` clients on each node, with ids that nobody else has.
    pub(super) async fn fill(&mut self, nodes: &[&Process], count: usize) {
        let first = self.guests.len();
        let ids: Vec<_> = (first..first + count * nodes.len())
            .map(|n| format!("g{n}"))
            .collect();
        for (ids, node) in ids.chunks(count).zip(nodes) {
            let entering = ids.iter().map(|id| Guest::enter(node, id));
            for entered in futures_util::future::join_all(entering).await {
                self.guests.push(entered.unwrap());
            }
        }
    }

    /// A client connects, if the node lets it.
    pub(super) async fn enter(&mut self, node: &Process, id: &str) -> Result<(), Refused> {
        let entered = Guest::enter(node, id).await;
        self.note(id, entered)
    }

    /// A client was let in, or not.
    pub(super) fn note(
        &mut self,
        id: &str,
        entered: Result<Guest, Refused>,
    ) -> Result<(), Refused> {
        match entered {
            Ok(guest) => {
                self.guests.push(guest);
                Ok(())
            }
            Err(refused) => {
                self.refused.push((id.to_owned(), Instant::now()));
                Err(refused)
            }
        }
    }

    /// Those who are connected.
    pub(super) fn live(&self) -> impl Iterator<Item = &Guest> {
        self.guests.iter().filter(|guest| guest.is_live())
    }

    /// The ids of those who are connected to a node.
    pub(super) fn ids_at(&self, node: &Process) -> Vec<String> {
        let there = self.live().filter(|guest| guest.node == node.address());
        there.map(|guest| guest.id.clone()).collect()
    }

    /// The last client with an id.
    pub(super) fn last(&self, id: &str) -> &Guest {
        let mut newest_first = self.guests.iter().rev();
        newest_first.find(|guest| guest.id == id).unwrap()
    }

    pub(super) fn guests(&self) -> &[Guest] {
        &self.guests
    }

    /// When others with the id of a guest were let in, or gave up.
    pub(super) fn others<'a>(&'a self, guest: &'a Guest) -> impl Iterator<Item = Instant> + 'a {
        let is_other = |other: &&Guest| other.id == guest.id && !std::ptr::eq(*other, guest);
        let entered = self
            .guests
            .iter()
            .filter(is_other)
            .map(|guest| guest.entered);
        let refused = self.refused.iter().filter(|(id, _)| *id == guest.id);
        entered.chain(refused.map(|(_, at)| *at))
    }
}
