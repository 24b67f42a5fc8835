//! What a scenario can do with the nodes, step by step.

use std::time::Duration;

use tieline_registry::{
    BeatReply, PutReply, TendReply, Term, roster_table::Verdict, roster_view::Fetch,
};

use super::stage::{Node, ROUNDS, Request, Stage, lobby};
use crate::{expect::expect_reply, harness::Skipped};

/// Users come and go; processes fail.
impl Stage<'_> {
    pub(super) fn connect(&mut self, node: usize, user: &str) {
        self.connect_with(node, user, "");
    }

    pub(super) fn connect_with(&mut self, node: usize, user: &str, info: &str) {
        let node = &mut self.nodes[node];
        node.users.insert(user.into());
        node.table.enter(&lobby(), user, info);
    }

    pub(super) fn disconnect(&mut self, node: usize, user: &str) {
        self.disconnect_after(node, user, Duration::ZERO);
    }

    /// The entry goes only after a grace.
    pub(super) fn disconnect_after(&mut self, node: usize, user: &str, grace: Duration) {
        let due = self.now + grace;
        let node = &mut self.nodes[node];
        node.users.remove(user);
        node.steady.remove(user);
        node.table.exit(&lobby(), user, due);
    }

    /// The process ends, and does not return.
    pub(super) fn crash(&mut self, node: usize) {
        let lease = self.lease;
        let node = &mut self.nodes[node];
        *node = Node::new(lease);
        (node.is_up, node.is_gone) = (false, true);
    }

    pub(super) fn pause(&mut self, node: usize) {
        self.nodes[node].is_up = false;
    }

    /// The process goes on. What it had was away, so nobody was promised anything.
    pub(super) fn wake_up(&mut self, node: usize) {
        self.nodes[node].is_up = true;
    }

    /// Nothing that a node acknowledged before counts: it was away.
    pub(super) fn forgive(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.steady.clear());
    }

    /// The terms of all nodes, as far as these know.
    pub(super) fn terms(&self) -> Vec<Option<Term>> {
        let terms = self.nodes.iter().map(|node| node.table.term().cloned());
        terms.collect()
    }

    pub(super) async fn wipe(&mut self) -> Result<(), Skipped> {
        self.harness.wipe().await
    }
}

/// Puts: sent, executed, answered.
impl Stage<'_> {
    pub(super) fn send(&mut self, node: usize) {
        self.try_send(node);
        let sent = self.nodes[node].put.is_some();
        assert!(sent, "the node has something to put");
    }

    /// Sends what there is to put.
    pub(super) fn try_send(&mut self, node: usize) {
        let now = self.now;
        let node = &mut self.nodes[node];
        assert!(node.put.is_none(), "a node sends one put at a time");
        if let Some(put) = node.table.next_put(now, usize::MAX) {
            let term = node.table.term().cloned();
            let term = term.expect("only a node with a term puts");
            node.put = Some((Request { term, put }, None));
        }
    }

    pub(super) async fn execute(&mut self, node: usize) {
        let (request, _) = self.nodes[node].put.clone().expect("a put was sent");
        let reply = self.execute_request(&request).await;
        self.nodes[node].put = Some((request, Some(reply)));
    }

    pub(super) async fn execute_request(&self, request: &Request) -> PutReply {
        expect_reply(self.rosters().put(&request.term, &request.put).await)
    }

    /// The reply reaches the node.
    pub(super) fn deliver(&mut self, node: usize) {
        let now = self.now;
        let node = &mut self.nodes[node];
        let (_, reply) = node.put.take().expect("a put was sent");
        let reply = reply.expect("the put was executed");
        for settled in node.table.on_reply(Some(reply), now) {
            match settled.verdict {
                Verdict::Entered if node.users.contains(&settled.user) => {
                    node.steady.insert(settled.user);
                }
                Verdict::Entered => {}
                Verdict::Full => {
                    node.users.remove(&settled.user);
                    // Everybody waits for the verdict here.
                    for _ in 0..node.table.connections(&settled.roster, &settled.user) {
                        (node.table).exit(&settled.roster, &settled.user, Duration::ZERO);
                    }
                }
            }
        }
    }

    /// The node hears nothing in time. The request may be executed later, if it was not.
    pub(super) fn time_out(&mut self, node: usize) -> Request {
        let now = self.now;
        let node = &mut self.nodes[node];
        let (request, _) = node.put.take().expect("a put was sent");
        node.table.on_reply(None, now);
        request
    }

    pub(super) async fn round_trip(&mut self, node: usize) {
        self.send(node);
        self.execute(node).await;
        self.deliver(node);
    }

    /// Puts until there is nothing to put. The end of one may cause the next.
    pub(super) async fn flush(&mut self, node: usize) {
        if self.nodes[node].put.is_some() {
            self.execute(node).await;
            self.deliver(node);
        }
        for _ in 0..16 {
            self.try_send(node);
            if self.nodes[node].put.is_none() {
                return;
            }
            self.execute(node).await;
            self.deliver(node);
        }
    }
}

/// Terms.
impl Stage<'_> {
    pub(super) async fn beat(&mut self, node: usize) {
        let now = self.now;
        if let Some(old) = self.nodes[node].table.old_term().cloned()
            && expect_reply(self.rosters().beat(&old).await) == BeatReply::Lost
        {
            self.nodes[node].table.on_old_lost();
        }
        let Some(term) = self.nodes[node].table.term().cloned() else {
            return;
        };
        let reply = expect_reply(self.rosters().beat(&term).await);
        let node = &mut self.nodes[node];
        node.table.on_beat(&reply, now);
        if node.table.term().is_none() {
            node.put = None;
        }
    }

    pub(super) async fn end_old(&mut self, node: usize) {
        if let Some(old) = self.nodes[node].table.take_ended() {
            expect_reply(self.rosters().end(&old, Duration::ZERO).await);
        }
    }

    pub(super) async fn tend(&mut self) -> TendReply {
        expect_reply(self.rosters().tend(self.lease).await)
    }

    /// Ends the terms that have run out, and removes the first chunk of what they left. If a busy machine has made the
    /// registry hold, it is waited for: this node goes on beating.
    pub(super) async fn bury(&mut self, living: usize) {
        for _ in 0..ROUNDS {
            if let TendReply::Done { .. } = self.tend().await {
                return;
            }
            self.pass(self.lease / 6).await;
            self.beat(living).await;
        }
        panic!("the registry holds for longer than it may");
    }

    /// Lets the terms run out of all nodes but this one, which goes on beating, so that the registry does not seem to
    /// have stood still.
    pub(super) async fn expire_all_but(&mut self, node: usize) {
        let step = self.lease / 6;
        let mut left = self.expiry + self.lease / 2;
        while left > step {
            self.pass(step).await;
            self.beat(node).await;
            left -= step;
        }
    }

    /// The registry does nothing for so long that all leases run out, and has its data afterwards. Whether it does:
    /// one that ends leases by a clock of its own cannot be stopped here, and to it the nodes were away.
    pub(super) async fn stand_still(&mut self) -> bool {
        let before = self.members(&lobby()).await;
        self.pass(self.expiry).await;
        let stood = self.members(&lobby()).await == before;
        if !stood {
            self.forgive();
        }
        stood
    }
}

/// Followers.
impl Stage<'_> {
    pub(super) fn follow(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.follows = true;
        node.view.follow(&lobby());
    }

    /// Reads one roster or page that is wanted.
    pub(super) async fn fetch(&mut self, node: usize) {
        match self.nodes[node].view.next_fetch() {
            None => {}
            Some(Fetch::Roster(name)) => {
                let reply = expect_reply(self.rosters().roster(&name, self.most).await);
                self.nodes[node].view.on_roster(&name, reply);
            }
            Some(Fetch::Page(name, cursor)) => {
                let page = expect_reply(self.rosters().page(&name, cursor).await);
                self.nodes[node].view.on_page(&name, page);
            }
        }
        self.tell(node);
    }

    /// Reads the journal once. Whether there may be more.
    pub(super) async fn read(&mut self, node: usize) -> bool {
        let Some(at) = self.nodes[node].view.position().cloned() else {
            return false;
        };
        let reply = expect_reply(self.rosters().read(&at).await);
        let now = self.now;
        let more = self.nodes[node].view.on_read(reply, now);
        self.tell(node);
        more
    }

    /// Reads everything there is to read.
    pub(super) async fn catch_up(&mut self, node: usize) {
        for _ in 0..10_000 {
            let fetches = self.nodes[node].view.next_fetch().is_some();
            if fetches {
                self.fetch(node).await;
            }
            if !self.read(node).await && !fetches {
                return;
            }
        }
        panic!("I5: node {node} reads for ever");
    }

    /// The beat that a follower wants once its registry has lost data.
    pub(super) async fn settle(&mut self, node: usize) {
        let now = self.now;
        let term = self.nodes[node].table.term().cloned();
        let Some(term) = term.filter(|_| self.nodes[node].view.wants_beat(now)) else {
            return;
        };
        let reply = expect_reply(self.rosters().beat(&term).await);
        self.nodes[node].view.on_beat(&reply);
        self.tell(node);
    }

    /// The users whom a node's subscribers were told to be there.
    pub(super) fn told(&self, node: usize) -> Vec<&str> {
        let told = self.nodes[node].told.keys();
        told.map(|user| &**user as &str).collect()
    }

    pub(super) fn heard(&self, node: usize) -> Vec<&str> {
        let heard = self.nodes[node].heard.iter();
        heard.map(String::as_str).collect()
    }
}
