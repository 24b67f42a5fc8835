//! What must hold: the invariants, checked at every removal and in a world that rests.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use tieline_registry::{ClientId, Cursor, Entry, Owner};

use super::{Health, Live, Simulation, done};

/// Entries whose connection lives.
pub(super) type Served = Vec<(ClientId, Entry)>;

/// I3.
impl Simulation<'_> {
    /// Which of these ids have an entry now that serves a live connection; of nodes with a lease only,
    /// if that is asked for: what was away for longer may be reaped.
    pub(super) async fn served(
        &self,
        ids: impl IntoIterator<Item = &ClientId>,
        leased_only: bool,
    ) -> Served {
        let mut served = Vec::new();
        for id in ids {
            let Some(entry) = done(self.registry.locate(id, true).await) else {
                continue;
            };
            let Owner::Node { stamp, leased } = entry.owner else {
                continue;
            };
            let lives = self.nodes.iter().any(|node| {
                node.session.is_some()
                    && node.address == entry.address
                    && node.live.get(id).is_some_and(|live| live.stamp == stamp)
            });
            if lives && (leased || !leased_only) {
                served.push((id.clone(), entry));
            }
        }
        served
    }

    pub(super) async fn spared(&self, served: &Served, by: &str) {
        for (id, entry) in served {
            let now = done(self.registry.locate(id, true).await);
            assert_eq!(
                now.map(|entry| entry.address),
                Some(entry.address.clone()),
                "I3: {by} removed the entry of a live connection of {id:?}"
            );
        }
    }
}

/// A world at rest.
impl Simulation<'_> {
    /// All that a round may change, as text.
    pub(super) async fn view(&self) -> String {
        let mut view = format!("{:?} {:?}", self.evicts, self.sighted);
        for node in &self.nodes {
            let mut live: Vec<_> = node.live.iter().collect();
            live.sort_by_key(|(id, _)| *id);
            let counts = (
                node.table.registered(),
                node.table.len(),
                node.flights.len(),
            );
            let standing = (&node.session, node.conflict, node.stopped);
            write!(view, "; {}: {standing:?} {live:?} {counts:?}", node.address)
                .expect("text takes all");
        }
        for id in self.newest.keys() {
            let entry = done(self.registry.locate(id, true).await);
            write!(view, "; {id}: {entry:?}").expect("text takes all");
        }
        view
    }

    pub(super) async fn judge(&self) {
        let mut expected = BTreeMap::new();
        for id in self.newest.keys() {
            let entry = done(self.registry.locate(id, true).await);
            match self.holders(id).as_slice() {
                [] => self.judge_absent(id, entry.as_ref(), &mut expected),
                [(address, live)] => {
                    judge_present(id, entry.as_ref(), address, *live);
                    expected.insert(id.clone(), address.clone());
                }
                several => panic!("I1: {id:?} has several live connections: {several:?}"),
            }
        }
        assert_eq!(
            self.everything().await,
            expected,
            "I1, I2: all entries are those that serve"
        );
        for node in 0..self.nodes.len() {
            self.judge_node(node).await;
        }
    }

    /// The live connections of an id. A process without its address is unroutable.
    fn holders(&self, id: &ClientId) -> Vec<(Arc<str>, Live)> {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|node| node.health != Health::Down && !node.conflict);
        nodes
            .filter_map(|node| Some((node.address.clone(), *node.live.get(id)?)))
            .collect()
    }

    fn judge_absent(
        &self,
        id: &ClientId,
        entry: Option<&Entry>,
        expected: &mut BTreeMap<ClientId, Arc<str>>,
    ) {
        let foreign = self.foreign.get(id).map(|address| Entry {
            address: address.clone(),
            owner: Owner::Foreign,
        });
        assert_eq!(
            entry,
            foreign.as_ref(),
            "I2: {id:?} has no live connection of ours"
        );
        expected.extend(foreign.map(|entry| (id.clone(), entry.address)));
    }

    /// What other programs see.
    async fn everything(&self) -> BTreeMap<ClientId, Arc<str>> {
        let (mut all, mut from) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = done(self.registry.scan(cursor).await);
            all.extend(page.items);
            from = page.next;
        }
        all
    }

    /// A node believes what is so.
    async fn judge_node(&self, at: usize) {
        let node = &self.nodes[at];
        if node.health != Health::Up || node.conflict {
            return;
        }
        let mut listed = self.listed(at).await;
        listed.sort_unstable();
        listed.dedup();
        let mut live: Vec<_> = node.live.keys().cloned().collect();
        live.sort_unstable();
        assert_eq!(
            listed, live,
            "I2: what is listed for {} is alive",
            node.address
        );
        let counts = (node.table.registered(), node.table.len());
        let held = (live.len() as u64, live.len());
        assert_eq!(
            counts, held,
            "{} remembers what it holds, no more",
            node.address
        );
    }

    /// Which connection is left, and where.
    pub(in super::super) fn assert_left(&self, expected: &[(usize, u32)]) {
        let left = self.nodes.iter().enumerate().flat_map(|(at, node)| {
            let numbers = node.live.values().map(|live| live.number);
            numbers.map(move |number| (at, number))
        });
        let mut left: Vec<_> = left.collect();
        left.sort_unstable();
        assert_eq!(
            left, expected,
            "the connections that are left (node, number)"
        );
    }
}

fn judge_present(id: &ClientId, entry: Option<&Entry>, address: &Arc<str>, live: Live) {
    let Some(entry) = entry else {
        panic!("I1: {id:?} has a live connection at {address} and no entry")
    };
    assert_eq!(
        entry.address, *address,
        "I1: {id:?} is where its connection is"
    );
    let Owner::Node { stamp, leased } = entry.owner else {
        panic!("I1: {id:?} has a live connection at {address} and a foreign entry")
    };
    assert!(leased, "I1: the node of {id:?} has a lease");
    assert!(
        stamp >= live.stamp,
        "I1: the entry of {id:?} is not older than its connection"
    );
}
