//! How a node joins the registry, renews its lease and compares what the registry has with what it
//! holds.

use tieline_registry::{
    ClientId, Cursor, Epoch, JoinOutcome, JoinRequest, LeaseInfo, NodeReport, NodeSession, Renewal,
    Stamp,
};

use super::{node::Node, state::Simulation};
use crate::expect::expect_reply;

impl Simulation<'_> {
    /// Renews the lease of a node, or joins if it has no session.
    pub(crate) async fn renew(&mut self, node: usize) {
        let Some(session) = self.nodes[node].session.clone() else {
            return self.join(node, None).await;
        };
        let now = self.now();
        let Node { table, epoch, .. } = &self.nodes[node];
        let refilled = if table.to_refill() == 0 {
            *epoch
        } else {
            Epoch::default()
        };
        let report = NodeReport { now, refilled };
        match expect_reply(self.registry.renew(&session, report).await) {
            Renewal::Renewed(lease_info) if lease_info.epoch != self.nodes[node].epoch => {
                self.joined(node, session, lease_info).await;
            }
            Renewal::Renewed(lease_info) => {
                self.advance_clock(lease_info);
                if self.nodes[node].stopped.is_some() {
                    self.resume_session(node).await;
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
            has_connections: !self.nodes[node].connections.is_empty(),
        };
        match expect_reply(self.registry.join(&request).await) {
            JoinOutcome::Joined(session, lease_info) => {
                self.joined(node, session, lease_info).await;
            }
            // A node connects to its own address to find out whether the holder still runs. Only
            // the first process with that address gets an answer from itself, and may replace the
            // holder.
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
        joined.table.on_joined(session.clone());
        (
            joined.address_taken,
            joined.stopped,
            joined.count_mismatches,
        ) = (false, None, 0);
        (joined.session, joined.epoch) = (Some(session), lease_info.epoch);
        self.sweep(node).await;
    }

    /// After a missing reply: a new fencing token stops late requests, and the session continues.
    pub(super) async fn resume_session(&mut self, node: usize) {
        let session = self.session(node);
        match expect_reply(self.registry.fence(&session).await) {
            Some(session) => {
                let node = &mut self.nodes[node];
                (node.stopped, node.session) = (None, Some(session.clone()));
                node.table.on_resumed(session);
            }
            None => self.join(node, None).await,
        }
    }

    fn advance_clock(&mut self, lease_info: LeaseInfo) {
        self.clock = self.clock.max(lease_info.clock.0);
    }

    /// Two renewals in a row with another number of entries than the table has start an audit. One
    /// could be a request that executed between the two counts.
    async fn compare_counts(&mut self, node: usize, lease_info: LeaseInfo) {
        let Node {
            table,
            pending,
            count_mismatches,
            ..
        } = &mut self.nodes[node];
        let differs = lease_info
            .entry_count
            .is_some_and(|held| held != table.registered());
        *count_mismatches = if differs && pending.is_empty() {
            *count_mismatches + 1
        } else {
            0
        };
        if *count_mismatches == 2 {
            *count_mismatches = 0;
            self.audit(node).await;
        }
    }

    /// Compares both ways: claims again everything that the node holds, and releases everything
    /// else under its address.
    pub(crate) async fn audit(&mut self, node: usize) {
        self.nodes[node].table.audit();
        self.sweep(node).await;
    }

    async fn sweep(&mut self, node: usize) {
        let ids = self.ids_of(node).await;
        self.nodes[node].table.sweep(ids);
    }

    /// The ids that the registry lists for a node, with their stamps. An id may come twice.
    pub(super) async fn ids_of(&self, node: usize) -> Vec<(ClientId, Stamp)> {
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
