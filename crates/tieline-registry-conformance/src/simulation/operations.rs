//! Requests of a node to the registry, one step at a time: sent, executed, answered.
//!
//! Owns the order of these steps for one node. A scenario may put any step of another node between
//! them. Every release is checked against invariant I3.

use tieline_registry::{
    Stamp,
    claim_table::{ClaimBatch, ClaimReply, ClaimRequest, Effect, Lane, StopReason},
};

use super::{
    node::{Node, PendingRequest},
    state::Simulation,
};
use crate::expect::expect_reply;

impl Simulation<'_> {
    /// A node sends what it wants from the registry. After a missing reply it first gets a new
    /// fencing token, as a real node does.
    pub(crate) async fn send(&mut self, node: usize) {
        if self.nodes[node].stopped == Some(StopReason::NoReply) {
            self.resume_session(node).await;
        }
        let Node { table, pending, .. } = &mut self.nodes[node];
        let requests = [Lane::Urgent, Lane::Slow].map(|lane| table.next_requests(lane, 512));
        let requests = requests.into_iter().flatten();
        pending.extend(requests.map(|request| PendingRequest {
            request,
            reply: None,
        }));
    }

    /// The registry executes the oldest request of a node. Returns `false` if there is none.
    pub(crate) async fn execute_next(&mut self, node: usize) -> bool {
        let pending = &self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.reply.is_none()) else {
            return false;
        };
        let reply = self.execute(&pending[at].request).await;
        self.nodes[node].pending[at].reply = Some(reply);
        true
    }

    /// A node gets its oldest reply. Returns `false` if there is none.
    pub(crate) fn deliver_reply(&mut self, node: usize) -> bool {
        let pending = &mut self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.reply.is_some()) else {
            return false;
        };
        let request = pending.remove(at).expect("the position was just found");
        self.on_reply(
            node,
            request.request,
            request.reply.expect("it was executed"),
        );
        true
    }

    /// A node sends a request, the registry executes it, and the node gets the reply.
    pub(crate) async fn round_trip(&mut self, node: usize) {
        self.send(node).await;
        assert!(
            self.execute_next(node).await,
            "the node has nothing to send, but this scenario needs a request here; \
             check the verdicts of its earlier claims"
        );
        self.deliver_reply(node);
    }

    /// The oldest request of a node times out, executed or not. A request that was not executed is
    /// lost, unless the scenario executes it later.
    pub(crate) fn time_out(&mut self, node: usize) -> ClaimRequest {
        let request = self.nodes[node].pending.pop_front();
        let request = request.expect("a request that can time out").request;
        self.on_reply(node, request.clone(), ClaimReply::NoReply);
        request
    }

    /// A copy of the oldest request of a node: what its connection to the registry may deliver a second
    /// time, at any later moment.
    pub(crate) fn copy_of_request(&self, node: usize) -> ClaimRequest {
        let pending = self.nodes[node].pending.front();
        pending
            .expect("a request that can be copied")
            .request
            .clone()
    }

    /// The registry executes a request that has timed out, or whose process is dead.
    pub(crate) async fn execute(
        &self,
        ClaimRequest { session, batch }: &ClaimRequest,
    ) -> ClaimReply {
        match batch {
            ClaimBatch::Claims(claims) => {
                ClaimReply::Claims(expect_reply(self.registry.claim(session, claims).await))
            }
            ClaimBatch::Releases(releases) => {
                let protected = self.entries_of_connections(batch.ids(), false).await;
                let outcome = expect_reply(self.registry.release(session, releases).await);
                self.assert_not_removed(&protected, "a release").await;
                ClaimReply::Releases(outcome)
            }
        }
    }

    fn on_reply(&mut self, node: usize, request: ClaimRequest, reply: ClaimReply) {
        let effects = self.nodes[node].table.on_reply(request, reply);
        for effect in effects {
            match effect {
                Effect::Granted(stamp) => {
                    let connections = self.nodes[node].connections.values_mut();
                    let granted = connections.filter(|connection| connection.stamp == stamp);
                    granted.for_each(|connection| connection.granted = true);
                }
                Effect::Refused(number, stamp) => self.on_refused(node, number, stamp),
                Effect::Evict(to, id) => self.evicts.push_back((to, id)),
                Effect::Stopped(reason) => self.nodes[node].stopped = Some(reason),
            }
        }
    }

    fn on_refused(&mut self, node: usize, number: u32, stamp: Stamp) {
        let connections = &mut self.nodes[node].connections;
        let id = connections
            .iter()
            .find(|(_, connection)| (connection.number, connection.stamp) == (number, stamp));
        let id = id.expect("the refused connection exists").0.clone();
        connections.remove(&id);
        assert_ne!(
            self.newest[&id], number,
            "I4: {} refused the newest connection of {id:?}; \
             check the verdicts of its claim and of later ones",
            self.nodes[node].address
        );
    }
}
