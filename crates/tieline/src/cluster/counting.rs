//! Counts over all nodes.
//!
//! Owns who is asked, and how the parts are added up. Must not know how requests travel. Invariant: a total is that of
//! the nodes that answered, and the others are named.

use std::{ops::AddAssign, sync::Arc};

use tokio::sync::oneshot;

use super::{
    outcome::answered,
    peers::{hash, may_have_any},
    pending::{Peer, PendingReply},
    router::MessageRouter,
    summary::{Counted, NodeCount},
};
use crate::{
    ask::AskError,
    counts::Counts,
    hub::{Namespace, ScopeKey},
    link::{NamespacedRef, Outcome, RequestKind, proto},
};

impl MessageRouter {
    /// What all nodes hold.
    pub(super) async fn counts(&self, names: &Namespace) -> Counted<Counts> {
        let query = query(proto::QueryKind::Counts, "");
        let is_asked = |peer: &Peer| may_have_any(peer, names);
        self.count(names, query, is_asked, |counts| counts).await
    }

    /// The connections of a user, on all nodes.
    pub(super) async fn user_len(&self, names: &Namespace, user: &str) -> Counted {
        let hash = hash(ScopeKey::User(&names.key(user)));
        let query = query(proto::QueryKind::UserLen, user);
        let is_asked = |peer: &Peer| peer.link.may_have(hash);
        self.count(names, query, is_asked, connections).await
    }

    /// The members of a group, on all nodes.
    pub(super) async fn group_len(&self, names: &Namespace, group: &str) -> Counted {
        let hash = hash(ScopeKey::Group(&names.key(group)));
        let query = query(proto::QueryKind::GroupLen, group);
        let is_asked = |peer: &Peer| peer.link.may_have(hash);
        self.count(names, query, is_asked, connections).await
    }

    /// This node's part.
    pub(super) fn count_local(&self, names: &Namespace, query: &proto::Query) -> Counts {
        let hub = self.hub.within(names.clone());
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
            proto::QueryKind::UserLen => of(hub.user_len(name)),
            proto::QueryKind::GroupLen => of(hub.group_len(name)),
            _ => hub.counts(),
        }
    }

    async fn count<T: AddAssign + Copy + Default>(
        &self,
        names: &Namespace,
        query: proto::Query,
        is_asked: impl Fn(&Peer) -> bool,
        part: impl Fn(Counts) -> T,
    ) -> Counted<T> {
        let peers = self.peers.all();
        let peers = peers
            .values()
            .filter(|peer| peer.is_in_membership() && is_asked(peer));
        // All are asked before the first is waited for.
        let ask = |peer| ask(peer, names.name(), &query);
        let asked = peers.map(|peer| (Some(Arc::clone(&peer.address)), ask(peer)));
        let asked: Vec<_> = asked.collect();
        let mut nodes = Vec::with_capacity(asked.len() + 1);
        // A backend has nothing to count.
        let own = self.directory.address().cloned();
        if own.is_some() || self.peers.is_single_node() {
            let count = Ok(part(self.count_local(names, &query)));
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
    namespace: &str,
    query: &proto::Query,
) -> impl Future<Output = Result<Counts, AskError>> + Send + use<> {
    let (sender, response) = oneshot::channel();
    let request = NamespacedRef {
        namespace,
        request: &RequestKind::Query(query.clone()),
    };
    peer.link.send(&request, PendingReply::Query(sender));
    async move {
        match answered(response.await)? {
            Outcome::Counts(counts) => Ok(counts),
            // It has nobody there.
            Outcome::NotSent(_) => Ok(Counts::default()),
            _ => Err(AskError::Unknown),
        }
    }
}
