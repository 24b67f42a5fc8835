//! What simulated nodes do by themselves: beats, joins, audits, sweeps, the reaper, until all rests.
//!
//! Owns the order of a round. Each part is a step of its own for scenarios that need it alone.

use std::time::Duration;

use tieline_registry::{
    Cursor, ExpiredNode, JoinOutcome, JoinRequest, LeaseInfo, NodeSession, Renewal,
};

use super::{A, Health, Node, Simulation, Stopped, done};

/// Rounds after which a world must rest (I5). The longest way of a scenario takes five.
const ROUNDS: usize = 12;

/// Operations of one node in one round, for the same reason.
const FLIGHTS: usize = 32;

/// The life of a node.
impl Simulation<'_> {
    /// Renews the lease, or takes the address if it is lost.
    pub(in super::super) async fn renew(&mut self, node: usize) {
        let Some(session) = self.nodes[node].session.clone() else {
            return self.join(node, None).await;
        };
        let now = self.now();
        match done(self.registry.renew(&session, now).await) {
            Renewal::Renewed(lease_info) => {
                self.learn(lease_info);
                if self.nodes[node].stopped.is_some() {
                    self.resume(node).await;
                }
                self.compare(node, lease_info).await;
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
        match done(self.registry.join(&request).await) {
            JoinOutcome::Joined(session, lease_info) => {
                self.joined(node, session, lease_info).await
            }
            // Who answers at the own address: this process, after a restart, or its twin?
            JoinOutcome::Busy(holder)
                if replace.is_none() && self.at(&request.address) == Some(node) =>
            {
                Box::pin(self.join(node, Some(holder))).await;
            }
            JoinOutcome::Busy(_) => {
                let node = &mut self.nodes[node];
                (node.conflict, node.session) = (true, None);
                node.table.stop();
            }
        }
    }

    async fn joined(&mut self, node: usize, session: NodeSession, lease_info: LeaseInfo) {
        self.learn(lease_info);
        let joined = &mut self.nodes[node];
        joined.table.on_joined(session.clone());
        (joined.conflict, joined.stopped, joined.odd) = (false, None, 0);
        joined.session = Some(session);
        self.sweep(node).await;
    }

    /// After a missing answer: what is late is fenced off, and the session goes on.
    pub(super) async fn resume(&mut self, node: usize) {
        let session = self.session(node);
        match done(self.registry.fence(&session).await) {
            Some(session) => {
                let node = &mut self.nodes[node];
                (node.stopped, node.session) = (None, Some(session.clone()));
                node.table.on_resumed(session);
            }
            None => self.join(node, None).await,
        }
    }

    fn learn(&mut self, lease_info: LeaseInfo) {
        self.clock = self.clock.max(lease_info.clock.0);
    }

    /// The alarm: twice another number of entries than the node believes to have.
    async fn compare(&mut self, node: usize, lease_info: LeaseInfo) {
        let Node {
            table,
            flights,
            odd,
            ..
        } = &mut self.nodes[node];
        let differs = lease_info
            .entry_count
            .is_some_and(|held| held != table.registered());
        *odd = if differs && flights.is_empty() {
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
    pub(in super::super) async fn audit(&mut self, node: usize) {
        self.nodes[node].table.audit();
        self.sweep(node).await;
    }

    async fn sweep(&mut self, node: usize) {
        let ids = self.listed(node).await;
        self.nodes[node].table.sweep(ids);
    }

    /// What the registry lists for a node.
    pub(super) async fn listed(&self, node: usize) -> Vec<tieline_registry::ClientId> {
        let session = self.session(node);
        let (mut ids, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = done(self.registry.ids_of(&session, cursor).await);
            ids.extend(page.items);
            from = page.next;
        }
        ids
    }
}

/// Time.
impl Simulation<'_> {
    /// The leases of some nodes run out, while the others that are up keep theirs.
    pub(in super::super) async fn run_out(&mut self, whose: &[usize]) {
        assert_eq!(
            self.lease,
            self.harness.lease(),
            "steady leases outlast scenarios"
        );
        let mut passed = Duration::ZERO;
        while passed < self.harness.expiry() {
            self.harness.pass(self.lease / 4).await;
            passed += self.lease / 4;
            for node in self.awake() {
                if !whose.contains(&node) {
                    self.renew(node).await;
                }
            }
        }
    }

    /// The reaper sees which leases have run out.
    pub(in super::super) async fn sight(&mut self) -> Vec<ExpiredNode> {
        self.sighted = done(self.registry.expired().await);
        self.sighted.clone()
    }

    /// A chunk of the reaper. Whether there is more.
    pub(in super::super) async fn reap(&mut self, expired: &ExpiredNode, most: usize) -> bool {
        let ids: Vec<_> = self.newest.keys().cloned().collect();
        let served = self.served(&ids, true).await;
        let more = done(self.registry.reap(expired, most).await);
        self.spared(&served, "the reaper").await;
        more
    }

    /// A round of the reaper: what was seen one round ago, and is still so, goes.
    pub(in super::super) async fn reap_round(&mut self) {
        let before = std::mem::take(&mut self.sighted);
        for expired in self.sight().await {
            if before.contains(&expired) {
                for _ in 0..FLIGHTS {
                    if !self.reap(&expired, 512).await {
                        break;
                    }
                }
            }
        }
    }
}

/// Until all rests.
impl Simulation<'_> {
    /// Lets the protocol run until nothing changes any more, and judges what is left: first by what
    /// happens at once, without an audit, then with audits, which must find nothing to do.
    pub(in super::super) async fn settle(&mut self) {
        self.rest(false).await;
        self.judge().await;
        self.settle_by_audit().await;
    }

    /// The same where only an audit, or the alarm in its stead, can tell that something is wrong.
    pub(in super::super) async fn settle_by_audit(&mut self) {
        self.rest(true).await;
        self.judge().await;
    }

    async fn rest(&mut self, audit: bool) {
        let down = |node: &usize| self.nodes[*node].health == Health::Down;
        let dead: Vec<_> = (A..self.nodes.len()).filter(down).collect();
        if !dead.is_empty() {
            self.run_out(&dead).await;
        }
        let mut before = self.view().await;
        for _ in 0..ROUNDS {
            self.round(audit).await;
            let after = self.view().await;
            if before == after {
                return;
            }
            before = after;
        }
        panic!("I5: the protocol does not come to rest: {before}");
    }

    async fn round(&mut self, audit: bool) {
        for node in self.awake() {
            self.renew(node).await;
            self.flush(node).await;
        }
        self.deliver_evicts();
        for node in self.awake() {
            self.flush(node).await;
            if audit && self.may_send(node) {
                self.audit(node).await;
                self.flush(node).await;
            }
        }
        self.reap_round().await;
    }

    /// Sends, executes and answers all that a node wants by now.
    pub(in super::super) async fn flush(&mut self, node: usize) {
        for _ in 0..FLIGHTS {
            if self.nodes[node].stopped != Some(Stopped::Lost) {
                self.send(node).await;
            }
            if !(self.execute(node).await | self.answer(node)) {
                return;
            }
        }
        panic!("I5: a node asks for ever");
    }

    /// Evictions reach their nodes; those to nodes that are paused wait.
    pub(in super::super) fn deliver_evicts(&mut self) {
        for (to, id) in std::mem::take(&mut self.evicts) {
            let Some(node) = self.at(&to) else { continue };
            match self.nodes[node].health {
                Health::Up => self.nodes[node].table.recheck(&id),
                Health::Paused => self.evicts.push_back((to, id)),
                Health::Down => {}
            }
        }
    }

    fn awake(&self) -> Vec<usize> {
        let up = |node: &usize| self.nodes[*node].health == Health::Up;
        (A..self.nodes.len()).filter(up).collect()
    }
}
