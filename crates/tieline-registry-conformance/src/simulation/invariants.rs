//! The invariants: checked after every removal, and when the nodes have converged.
//!
//! Owns what each invariant means for the state of a simulation. Must not change that state.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use tieline_registry::{ClientId, Cursor, Entry, Owner};

use super::{
    node::{Connection, Node, ProcessState},
    state::Simulation,
};
use crate::expect::expect_reply;

/// Entries whose connection exists.
pub(super) type ConnectedEntries = Vec<(ClientId, Entry)>;

/// I3: checked around every release and every chunk of the reaper.
impl Simulation<'_> {
    /// The entries of these ids that belong to an existing connection. With `leased_only`, entries
    /// of expired nodes are left out, because they may be reaped.
    pub(super) async fn entries_of_connections(
        &self,
        ids: impl IntoIterator<Item = &ClientId>,
        leased_only: bool,
    ) -> ConnectedEntries {
        let mut protected = Vec::new();
        // A process that has lost its address serves nobody, although it may not know.
        let holders = expect_reply(self.registry.nodes().await);
        let holds = |node: &Node| holders.iter().any(|holder| holder.process == node.process);
        for id in ids {
            let Some(entry) = expect_reply(self.registry.locate(id.key(), true).await).entry()
            else {
                continue;
            };
            let Owner::Node { stamp, leased } = entry.owner else {
                continue;
            };
            let is_connected = self.nodes.iter().any(|node| {
                holds(node)
                    && node.address == entry.address
                    && node
                        .connections
                        .get(id)
                        .is_some_and(|connection| connection.stamp == stamp)
            });
            if is_connected && (leased || !leased_only) {
                protected.push((id.clone(), entry));
            }
        }
        protected
    }

    pub(super) async fn assert_not_removed(&self, protected: &ConnectedEntries, by: &str) {
        for (id, entry) in protected {
            let now = expect_reply(self.registry.locate(id.key(), true).await).entry();
            assert_eq!(
                now.map(|entry| entry.address),
                Some(entry.address.clone()),
                "I3: {by} removed the entry of {id:?}, whose connection at {} exists; \
                 check what is compared before the delete",
                entry.address
            );
        }
    }
}

/// I1 and I2: checked when the nodes have converged.
impl Simulation<'_> {
    /// Everything that a round may change, as text, to detect that nothing changes any more.
    pub(super) async fn fingerprint(&self) -> String {
        let mut text = format!("{:?} {:?}", self.evicts, self.seen_expired);
        for node in &self.nodes {
            let mut connected: Vec<_> = node.connections.iter().collect();
            connected.sort_by_key(|(id, _)| *id);
            let counts = (
                node.table.registered(),
                node.table.len(),
                node.pending.len(),
            );
            let status = (&node.session, node.address_taken, node.stopped);
            write!(
                text,
                "; {}: {status:?} {connected:?} {counts:?}",
                node.address
            )
            .expect("writing to a string cannot fail");
        }
        for id in self.newest.keys() {
            let entry = expect_reply(self.registry.locate(id.key(), true).await).entry();
            write!(text, "; {id:?}: {entry:?}").expect("writing to a string cannot fail");
        }
        text
    }

    pub(super) async fn check_invariants(&self) {
        let mut expected = BTreeMap::new();
        for id in self.newest.keys() {
            let entry = expect_reply(self.registry.locate(id.key(), true).await).entry();
            match self.connections_of(id).as_slice() {
                [] => self.check_absent(id, entry.as_ref(), &mut expected),
                [(address, connection)] => {
                    check_present(id, entry.as_ref(), address, *connection);
                    expected.insert(id.clone(), address.clone());
                }
                several => panic!(
                    "I1: {id:?} has more than one connection: {several:?}; the older node \
                     got no evict request, so look at the `displaced` of the newer claim's verdict"
                ),
            }
        }
        assert_eq!(
            self.scan_all().await,
            expected,
            "I1, I2: `scan` (left) must show exactly the entries of existing connections (right)"
        );
        for node in 0..self.nodes.len() {
            self.check_node(node).await;
        }
    }

    /// The connections of an id. Those of a process whose address is taken do not count: nothing
    /// can be routed to them.
    fn connections_of(&self, id: &ClientId) -> Vec<(Arc<str>, Connection)> {
        let nodes = self.nodes.iter();
        let nodes =
            nodes.filter(|node| node.process_state != ProcessState::Dead && !node.address_taken);
        nodes
            .filter_map(|node| Some((node.address.clone(), *node.connections.get(id)?)))
            .collect()
    }

    fn check_absent(
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
            "I2: {id:?} has no connection on a node of the cluster, \
             so `locate` (left) must not find one"
        );
        expected.extend(foreign.map(|entry| (id.clone(), entry.address)));
    }

    /// All entries, as other programs see them.
    async fn scan_all(&self) -> BTreeMap<ClientId, Arc<str>> {
        let (mut all, mut from) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = expect_reply(self.registry.scan(cursor).await);
            all.extend(page.items);
            from = page.next;
        }
        all
    }

    /// The registry, the claim table and the connections of a node must agree.
    async fn check_node(&self, at: usize) {
        let node = &self.nodes[at];
        if node.process_state != ProcessState::Running || node.address_taken {
            return;
        }
        let listed = self.ids_of(at).await.into_iter();
        let mut listed: Vec<_> = listed.map(|(id, _)| id).collect();
        listed.sort_unstable();
        listed.dedup();
        let mut connected: Vec<_> = node.connections.keys().cloned().collect();
        connected.sort_unstable();
        assert_eq!(
            listed, connected,
            "I2: `ids_of` (left) must list exactly the connections of {} (right)",
            node.address
        );
        let counts = (node.table.registered(), node.table.len());
        let expected = (connected.len() as u64, connected.len());
        assert_eq!(
            counts, expected,
            "I2: the claim table of {} (left: registered, known) must match its connections \
             (right); look for a reply that was lost or is wrong",
            node.address
        );
    }

    /// Asserts which connections exist, as node and number.
    pub(crate) fn assert_connections(&self, expected: &[(usize, u32)]) {
        let actual = self.nodes.iter().enumerate().flat_map(|(at, node)| {
            let numbers = node
                .connections
                .values()
                .map(|connection| connection.number);
            numbers.map(move |number| (at, number))
        });
        let mut actual: Vec<_> = actual.collect();
        actual.sort_unstable();
        assert_eq!(
            actual, expected,
            "the connections (node, number) that exist (left) and that must exist (right)"
        );
    }
}

fn check_present(id: &ClientId, entry: Option<&Entry>, address: &Arc<str>, connection: Connection) {
    let Some(entry) = entry else {
        panic!(
            "I1: {id:?} has a connection at {address} and no entry; \
             look for the operation that removed it"
        )
    };
    assert_eq!(
        entry.address, *address,
        "I1: the entry of {id:?} names another node (left) than that of its connection (right)"
    );
    let Owner::Node { stamp, leased } = entry.owner else {
        panic!(
            "I1: {id:?} has a connection at {address}, but `locate` calls its entry foreign; \
             check the shadow"
        )
    };
    assert!(
        leased,
        "I1: `locate` says that the node of {id:?} at {address} has no lease, but it renewed it"
    );
    assert!(
        stamp >= connection.stamp,
        "I1: the entry of {id:?} at {address} has the stamp {stamp}, \
         which is older than its connection"
    );
}
