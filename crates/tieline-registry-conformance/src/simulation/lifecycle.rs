//! How a node joins the registry, renews its lease and compares what the registry has with what it
//! holds.

use tieline_registry::{
    ClientId, Cursor, JoinOutcome, JoinRequest, LeaseInfo, NodeSession, Renewal,
};

use super::{node::Node, state::Simulation};
use crate::expect::expect_reply;

impl Simulation<'_> {
    /// Renews the lease, or takes the address if it is lost.
    pub(crate) async fn renew(&mut self, node: usize) {
        let Some(session) = self.nodes[node].session.clone() else {
            return self.join(node, None).await;
        };
        let now = self.now();
        match expect_reply(self.registry.renew(&session, now).await) {
            Renewal::Renewed(lease_info) => {
                self.advance_clock(lease_info);
                if self.nodes[node].stopped.is_some() {
                    self.resume(node).await;
                }
                self.compare_counts(node, lease_info).await;
            }
            Renewal::Revived(lease_info) => self.joined(node, session, lease_info).await,
            Renewal::Lost => {
                self.nodes[node].table.stop();
                self.join(node, None).await;
            }
        }
    }

    async fn join(&mut self, node: usize, replace: Option<uuid::Uuid>) {
        let now = self.now();
        let request = JoinRequest {
            address: self.address(node),
            process: self.nodes[node].process,
            replace,
            previous: self.nodes[node].session.clone(),
            now,
            lease: self.lease,
        };
        match expect_reply(self.registry.join(&request).await) {
            JoinOutcome::Joined(session, lease_info) => {
                self.joined(node, session, lease_info).await;
            }
            // Who answers at the own address: this process, after a restart, or its twin?
            JoinOutcome::Busy(holder)
                if replace.is_none() && self.node_at(&request.address) == Some(node) =>
            {
                Box::pin(self.join(node, Some(holder))).await;
            }
            JoinOutcome::Busy(_) => {
                let node = &mut self.nodes[node];
                (node.address_taken, node.session) = (true, None);
                node.table.stop();
            }
        }
    }

    async fn joined(&mut self, node: usize, session: NodeSession, lease_info: LeaseInfo) {
        self.advance_clock(lease_info);
        let joined = &mut self.nodes[node];
        joined.table.joined(session.clone());
        (joined.address_taken, joined.stopped, joined.odd) = (false, None, 0);
        joined.session = Some(session);
        self.sweep(node).await;
    }

    /// After a missing answer: what is late is fenced off, and the session goes on.
    pub(super) async fn resume(&mut self, node: usize) {
        let session = self.session(node);
        match expect_reply(self.registry.fence(&session).await) {
            Some(session) => {
                let node = &mut self.nodes[node];
                (node.stopped, node.session) = (None, Some(session.clone()));
                node.table.resumed(session);
            }
            None => self.join(node, None).await,
        }
    }

    fn advance_clock(&mut self, lease_info: LeaseInfo) {
        self.clock = self.clock.max(lease_info.clock.0);
    }

    /// The alarm: twice another number of entries than the node believes to have.
    async fn compare_counts(&mut self, node: usize, lease_info: LeaseInfo) {
        let Node {
            table,
            pending,
            odd,
            ..
        } = &mut self.nodes[node];
        let differs = lease_info.held.is_some_and(|held| held != table.mine());
        *odd = if differs && pending.is_empty() {
            *odd + 1
        } else {
            0
        };
        if *odd == 2 {
            *odd = 0;
            self.audit(node).await;
        }
    }

    /// Compares both ways: claims again what is held, and gives back what is not.
    pub(crate) async fn audit(&mut self, node: usize) {
        self.nodes[node].table.audit();
        self.sweep(node).await;
    }

    async fn sweep(&mut self, node: usize) {
        let ids = self.ids_of(node).await;
        self.nodes[node].table.sweep(ids);
    }

    /// What the registry lists for a node.
    pub(super) async fn ids_of(&self, node: usize) -> Vec<ClientId> {
        let session = self.session(node);
        let (mut ids, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = expect_reply(self.registry.ids_of(&session, cursor).await);
            ids.extend(page.items);
            from = page.next;
        }
        ids
    }
}
