//! Counts over all nodes.
//!
//! Owns who is asked, and how the parts are added up. Must not know how requests travel. Invariant: a total is that of
//! the nodes that answered, and the others are named.

use std::{ops::AddAssign, sync::Arc};

use tokio::sync::oneshot;

use super::{
    outcome::answered,
    pending::{Peer, PendingReply},
    router::MessageRouter,
    summary::{Counted, NodeCount},
};
use crate::{
    ask::AskError,
    counts::Counts,
    link::{self, Outcome, RequestKind, proto},
};

impl MessageRouter {
    /// What all nodes hold.
    pub(super) async fn counts(&self) -> Counted<Counts> {
        let query = query(proto::QueryKind::Counts, "");
        self.count(query, |_| true, |counts| counts).await
    }

    /// The connections of a user, on all nodes.
    pub(super) async fn user_len(&self, user: &str) -> Counted {
        let hash = link::hash(proto::Scope::User, user);
        let query = query(proto::QueryKind::UserLen, user);
        self.count(query, |peer| peer.link.may_have(hash), connections)
            .await
    }

    /// The members of a group, on all nodes.
    pub(super) async fn group_len(&self, group: &str) -> Counted {
        let hash = link::hash(proto::Scope::Group, group);
        let query = query(proto::QueryKind::GroupLen, group);
        self.count(query, |peer| peer.link.may_have(hash), connections)
            .await
    }

    /// This node's part.
    pub(super) fn count_local(&self, query: &proto::Query) -> Counts {
        let name = query
            .names
            .first()
            .and_then(|name| str::from_utf8(name).ok());
        let name = name.unwrap_or_default();
        let of = |connections: usize| Counts {
            connections: connections as u64,
            ..Counts::default()
        };
        match query.kind() {
            proto::QueryKind::UserLen => of(self.hub.user_len(name)),
            proto::QueryKind::GroupLen => of(self.hub.group_len(name)),
            _ => self.hub.counts(),
        }
    }

    async fn count<T: AddAssign + Copy + Default>(
        &self,
        query: proto::Query,
        is_asked: impl Fn(&Peer) -> bool,
        part: impl Fn(Counts) -> T,
    ) -> Counted<T> {
        let peers = self.peers.all();
        let peers = peers
            .values()
            .filter(|peer| peer.is_in_membership() && is_asked(peer));
        // All are asked before the first is waited for.
        let asked = peers.map(|peer| (Some(Arc::clone(&peer.address)), ask(peer, &query)));
        let asked: Vec<_> = asked.collect();
        let mut nodes = Vec::with_capacity(asked.len() + 1);
        // A backend has nothing to count.
        let own = self.directory.address().cloned();
        if own.is_some() || self.peers.is_single_node() {
            let count = Ok(part(self.count_local(&query)));
            nodes.push(NodeCount { node: own, count });
        }
        for (node, counts) in asked {
            let count = counts.await.map(&part);
            nodes.push(NodeCount { node, count });
        }
        nodes.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        let mut total = T::default();
        for count in nodes.iter().filter_map(|node| node.count.as_ref().ok()) {
            total += *count;
        }
        Counted { total, nodes }
    }
}

fn connections(counts: Counts) -> u64 {
    counts.connections
}

fn query(kind: proto::QueryKind, name: &str) -> proto::Query {
    let name = (!name.is_empty()).then(|| name.to_owned().into());
    proto::Query {
        kind: kind.into(),
        names: name.into_iter().collect(),
        ..proto::Query::default()
    }
}

/// Asks a peer, before the future is polled.
fn ask(
    peer: &Peer,
    query: &proto::Query,
) -> impl Future<Output = Result<Counts, AskError>> + Send + use<> {
    let (sender, response) = oneshot::channel();
    let query = RequestKind::Query(query.clone());
    peer.link.send(&query, PendingReply::Query(sender));
    async move {
        match answered(response.await)? {
            Outcome::Counts(counts) => Ok(counts),
            _ => Err(AskError::Unknown),
        }
    }
}
