//! Asking the handlers of other nodes.
//!
//! Owns how an ask is sent, and when it is given up. Must not know how a client is found, nor who answers.
//! Invariant: an ask is decided by its deadline, and answered by one node at most.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    outcome::{AskSender, ResultSender},
    pending::{Peer, PendingReply},
    router::MessageRouter,
    summary::NodeReply,
};
use crate::{
    ask::{AskError, timed_out_at},
    hub::{AskOp, ClientOp, check_key},
    link::PendingAnswer,
};

impl MessageRouter {
    /// Asks about the client with this key, wherever it is.
    pub(super) async fn ask(
        self: Arc<Self>,
        id: Arc<str>,
        request: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, AskError> {
        if self.peers.is_single_node() {
            return self.hub.ask_by(&id, request, deadline).await;
        }
        if check_key(&id).is_err() {
            return Err(AskError::Offline);
        }
        if let Some(conn) = self.local_connection(&id)
            && !self.must_wait(&id)
        {
            let running = self.hub.start_request(&conn, request, deadline)?;
            return timed_out_at(deadline, running).await;
        }
        let (number, answer) = self.answers.expect();
        let op = ClientOp::Ask(AskOp {
            number,
            request,
            deadline,
        });
        let sender = AskSender::new(&self.answers, number);
        self.send(&id, op, ResultSender::Ask(sender));
        timed_out_at(deadline, answer).await
    }

    /// Asks a node itself, this one included.
    pub(super) async fn ask_node(
        self: Arc<Self>,
        node: Arc<str>,
        request: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, AskError> {
        if self.directory.address() == Some(&node) {
            let running = self.hub.start_node_request(request, deadline)?;
            return timed_out_at(deadline, running).await;
        }
        let peer = self.peers.all().get(&node).cloned();
        let peer = peer.filter(|peer| peer.is_in_membership());
        let peer = peer.ok_or(AskError::Offline)?;
        let answer = self.send_ask(&peer, request, deadline);
        timed_out_at(deadline, answer).await
    }

    /// Asks every node, this one included unless it is a backend. Sorted by address.
    pub(super) async fn ask_all(
        self: Arc<Self>,
        request: Bytes,
        deadline: Instant,
    ) -> Vec<NodeReply> {
        let peers = self.peers.all();
        let peers = peers.values().filter(|peer| peer.is_in_membership());
        // All are asked before the first is waited for.
        let asked = peers.map(|peer| {
            let answer = self.send_ask(peer, request.clone(), deadline);
            (Arc::clone(&peer.address), answer)
        });
        let asked: Vec<_> = asked.collect();
        let mut replies = Vec::with_capacity(asked.len() + 1);
        let own = self.directory.address().cloned();
        if own.is_some() || self.peers.is_single_node() {
            let reply = match self.hub.start_node_request(request, deadline) {
                Ok(running) => timed_out_at(deadline, running).await,
                Err(error) => Err(error),
            };
            replies.push(NodeReply { node: own, reply });
        }
        for (address, answer) in asked {
            let (node, reply) = (Some(address), timed_out_at(deadline, answer).await);
            replies.push(NodeReply { node, reply });
        }
        replies.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        replies
    }

    fn send_ask(&self, peer: &Peer, request: Bytes, deadline: Instant) -> PendingAnswer {
        let (number, answer) = self.answers.expect();
        let ask = AskOp {
            number,
            request,
            deadline,
        };
        let sender = AskSender::new(&self.answers, number);
        let reply = PendingReply::Ask(Box::new((sender, Arc::clone(&peer.address))));
        // No client has an empty id.
        ClientOp::Ask(ask).send(&peer.link, "", reply);
        answer
    }
}
