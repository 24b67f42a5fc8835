//! Requests of a node to the registry, one step at a time: sent, executed, answered.
//!
//! Owns the order of these steps for one node. A scenario may put any step of another node between
//! them. Every release is checked against invariant I3.

use tieline_registry::claim_table::{ClaimBatch, ClaimReply, Effect, Lane, Request};

use super::{
    node::{Connection, Node, PendingRequest, Stopped},
    state::Simulation,
};
use crate::expect::expect_reply;

impl Simulation<'_> {
    /// What a node wants to ask takes off.
    pub(crate) async fn send(&mut self, node: usize) {
        if self.nodes[node].stopped == Some(Stopped::NoReply) {
            self.resume(node).await;
        }
        let now = self.now();
        let Node { table, pending, .. } = &mut self.nodes[node];
        let requests = [Lane::Urgent, Lane::Slow].map(|lane| table.take(lane, now, 512));
        let answer = None;
        pending.extend(
            requests
                .into_iter()
                .flatten()
                .map(|request| PendingRequest {
                    request,
                    answer: answer.clone(),
                }),
        );
    }

    /// The registry carries out a node's oldest request. Whether there was one.
    pub(crate) async fn execute_next(&mut self, node: usize) -> bool {
        let pending = &self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.answer.is_none()) else {
            return false;
        };
        let answer = self.carry_out(&pending[at].request).await;
        self.nodes[node].pending[at].answer = Some(answer);
        true
    }

    /// A node gets its oldest answer. Whether there was one.
    pub(crate) fn deliver_reply(&mut self, node: usize) -> bool {
        let pending = &mut self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.answer.is_some()) else {
            return false;
        };
        let request = pending.remove(at).expect("it was there");
        self.answered(node, request.request, request.answer.expect("it has one"));
        true
    }

    /// Sent, executed, answered.
    pub(crate) async fn round_trip(&mut self, node: usize) {
        self.send(node).await;
        assert!(self.execute_next(node).await, "a node had nothing to send");
        self.deliver_reply(node);
    }

    /// A node gives up on its oldest operation, executed or not. A request that was not executed yet
    /// is lost, unless the scenario has it executed late.
    pub(crate) fn time_out(&mut self, node: usize) -> Request {
        let request = self.nodes[node].pending.pop_front();
        let request = request.expect("an operation to give up on").request;
        self.answered(node, request.clone(), ClaimReply::NoReply);
        request
    }

    /// A request is executed that nobody waits for any more.
    pub(crate) async fn execute(&mut self, request: &Request) -> ClaimReply {
        self.carry_out(request).await
    }

    async fn carry_out(&self, Request { session, batch }: &Request) -> ClaimReply {
        match batch {
            ClaimBatch::Claims(claims) => {
                ClaimReply::Claims(expect_reply(self.registry.claim(session, claims).await))
            }
            ClaimBatch::Releases(releases) => {
                let served = self.live_entries(batch.ids(), false).await;
                let answer = expect_reply(self.registry.release(session, releases).await);
                self.assert_not_removed(&served, "a release").await;
                ClaimReply::Releases(answer)
            }
        }
    }

    fn answered(&mut self, node: usize, request: Request, reply: ClaimReply) {
        let effects = self.nodes[node].table.answered(request, reply);
        for effect in effects {
            match effect {
                Effect::Granted(_) => {}
                Effect::Refused(number, stamp) => self.refused(node, Connection { number, stamp }),
                Effect::Evict(to, id) => self.evicts.push_back((to, id)),
                Effect::Stopped(lost) => {
                    let stopped = if lost {
                        Stopped::Lost
                    } else {
                        Stopped::NoReply
                    };
                    self.nodes[node].stopped = Some(stopped);
                }
            }
        }
    }

    fn refused(&mut self, node: usize, refused: Connection) {
        let live = &mut self.nodes[node].live;
        let id = live.iter().find(|(_, live)| **live == refused);
        let id = id.expect("a connection that is refused is there").0.clone();
        live.remove(&id);
        assert_ne!(
            self.newest[&id], refused.number,
            "I4: the newest connection of {id:?} is closed by the protocol"
        );
    }
}
