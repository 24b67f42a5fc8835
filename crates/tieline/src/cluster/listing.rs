//! Lists and questions over all nodes.
//!
//! Owns how a list is split among nodes and merged, and how a client is confirmed to be connected. Must
//! not know how requests travel. Invariant: a page is sorted and complete up to its last name, except
//! for the nodes that it names as missed.

use std::{collections::BinaryHeap, sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_registry::{Located, Owner, id};
use tokio::{sync::oneshot, time::timeout};

use super::{
    outcome::answered,
    peers::{hash, may_have_any},
    pending::{Peer, PendingReply},
    router::MessageRouter,
    summary::{Listed, OnlineStatus},
};
use crate::{
    ask::AskError,
    hub::{Connection, Namespace, ScopeKey, check_key},
    link::{NamespacedRef, Outcome, RequestKind, proto},
};

/// Names in a page: a page must fit in one message between nodes.
const MAX_NAMES: usize = 1000;

/// The time for two questions to the registry and two to the client's node, which it may have left.
const MAX_CHECK: Duration = Duration::from_secs(2);

/// Whether a client is connected.
impl MessageRouter {
    /// Asks in a separate task, so that several clients are asked at once; unknown after two seconds.
    pub(super) fn online_status(
        self: &Arc<Self>,
        id: Arc<str>,
    ) -> impl Future<Output = OnlineStatus> + Send + use<> {
        let router = Arc::clone(self);
        let (sender, status) = oneshot::channel();
        self.tasks.spawn(async move {
            let check = timeout(MAX_CHECK, router.check_online(&id));
            // The caller may have stopped waiting.
            let _ = sender.send(check.await.unwrap_or(OnlineStatus::Unknown));
        });
        async move { status.await.unwrap_or(OnlineStatus::Unknown) }
    }

    /// Asks twice, since the client may have moved between the registry's answer and its node's.
    async fn check_online(&self, id: &str) -> OnlineStatus {
        if check_key(id).is_err() {
            return OnlineStatus::Offline;
        }
        let mut before = None;
        for is_fresh in [false, true] {
            if self.local_connection(id).is_some() {
                return OnlineStatus::Online;
            }
            let located = self.directory.locate(id, is_fresh).await.ok();
            if is_fresh && located == before {
                break;
            }
            match self.confirm(id, located.as_ref()).await {
                OnlineStatus::Offline => before = located,
                status => return status,
            }
        }
        OnlineStatus::Offline
    }

    /// Asks the node that the registry names.
    async fn confirm(&self, id: &str, located: Option<&Located>) -> OnlineStatus {
        let entry = match located {
            None | Some(Located::Unknown) => return OnlineStatus::Unknown,
            Some(Located::Nowhere) => return OnlineStatus::Offline,
            Some(Located::At(entry)) => entry,
        };
        if self.directory.address() == Some(&entry.address) {
            return OnlineStatus::Offline;
        }
        let peer = self.peers.get_or_connect(&entry.address);
        let is_leased = !matches!(entry.owner, Owner::Node { leased: false, .. });
        if peer.link.is_alias() || (!is_leased && !peer.link.is_up()) {
            return OnlineStatus::Offline;
        }
        let (namespace, id) = id::split(id);
        let query = query(proto::QueryKind::Online, &[id], None, 1);
        match send_query(&peer, namespace, query).await {
            Ok((names, _)) if names.is_empty() => OnlineStatus::Offline,
            Ok(_) => OnlineStatus::Online,
            Err(_) => OnlineStatus::Unknown,
        }
    }
}

/// Lists.
impl MessageRouter {
    pub(super) async fn list_members(
        &self,
        names: &Namespace,
        group: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Listed {
        let hash = hash(ScopeKey::Group(&names.key(group)));
        let query = query(proto::QueryKind::Members, &[group], after, limit);
        self.list(names, query, |peer| peer.link.may_have(hash))
            .await
    }

    pub(super) async fn list_clients(
        &self,
        names: &Namespace,
        after: Option<&str>,
        limit: usize,
    ) -> Listed {
        self.list_all(names, query(proto::QueryKind::Clients, &[], after, limit))
            .await
    }

    pub(super) async fn list_users(
        &self,
        names: &Namespace,
        after: Option<&str>,
        limit: usize,
    ) -> Listed {
        self.list_all(names, query(proto::QueryKind::Users, &[], after, limit))
            .await
    }

    pub(super) async fn list_groups(
        &self,
        names: &Namespace,
        after: Option<&str>,
        limit: usize,
    ) -> Listed {
        self.list_all(names, query(proto::QueryKind::Groups, &[], after, limit))
            .await
    }

    /// Asks every node that has clients of a namespace.
    async fn list_all(&self, names: &Namespace, query: proto::Query) -> Listed {
        self.list(names, query, |peer| may_have_any(peer, names))
            .await
    }

    /// A page over this node and the others that are `asked`.
    async fn list(
        &self,
        names: &Namespace,
        query: proto::Query,
        is_asked: impl Fn(&Peer) -> bool,
    ) -> Listed {
        let limit = query.limit as usize;
        let peers = self.peers.all();
        let peers = peers
            .values()
            .filter(|peer| peer.is_in_membership() && is_asked(peer));
        // All are asked before the first is waited for.
        let ask = |peer| send_query(peer, names.name(), query.clone());
        let responses = peers.map(|peer| (Arc::clone(peer), ask(peer)));
        let responses: Vec<_> = responses.collect();
        let (own, more) = self.list_local(names, &query);
        let mut listed = Listed {
            more,
            ..Listed::default()
        };
        let address = self.directory.address();
        listed
            .names
            .extend(own.into_iter().map(|name| (name, address.cloned())));
        for (peer, response) in responses {
            match response.await {
                Ok((names, more)) => listed.add(&peer.address, &names, more),
                Err(why) => listed.missed.push((Arc::clone(&peer.address), why)),
            }
        }
        listed.names.sort_unstable();
        listed.more |= listed.names.len() > limit;
        listed.names.truncate(limit);
        listed
    }

    /// This node's part of a list, sorted, and whether more follows.
    pub(super) fn list_local(
        &self,
        names: &Namespace,
        query: &proto::Query,
    ) -> (Vec<Arc<str>>, bool) {
        let hub = self.hub.within(names.clone());
        let after = str::from_utf8(&query.after).unwrap_or_default();
        let limit = (query.limit as usize).clamp(1, MAX_NAMES);
        let ids = |connections: Vec<Connection>| {
            let ids = connections.into_iter().map(|c| Arc::from(c.id().as_str()));
            first(ids, after, limit)
        };
        let given = || {
            let given = query.names.iter();
            given.filter_map(|name| str::from_utf8(name).ok())
        };
        match query.kind() {
            // The stream refuses the first; the others are counted.
            proto::QueryKind::Unspecified
            | proto::QueryKind::Counts
            | proto::QueryKind::UserLen
            | proto::QueryKind::GroupLen => (Vec::new(), false),
            proto::QueryKind::Online => {
                let here = given().filter(|id| hub.online(id));
                (here.map(Arc::from).collect(), false)
            }
            proto::QueryKind::Members => match given().next() {
                Some(group) => ids(hub.members(group)),
                None => (Vec::new(), false),
            },
            proto::QueryKind::Clients => ids(hub.connections()),
            proto::QueryKind::Groups => first(hub.groups().into_iter(), after, limit),
            proto::QueryKind::Users => first(hub.users().into_iter(), after, limit),
        }
    }
}

impl Listed {
    /// Adds the names that a node has.
    fn add(&mut self, node: &Arc<str>, names: &[Bytes], more: bool) {
        let names = names.iter().filter_map(|name| str::from_utf8(name).ok());
        self.names
            .extend(names.map(|name| (name.into(), Some(Arc::clone(node)))));
        self.more |= more;
    }
}

fn query(
    kind: proto::QueryKind,
    names: &[&str],
    after: Option<&str>,
    limit: usize,
) -> proto::Query {
    let bytes = |name: &str| Bytes::copy_from_slice(name.as_bytes());
    proto::Query {
        kind: kind.into(),
        names: names.iter().map(|name| bytes(name)).collect(),
        after: bytes(after.unwrap_or_default()),
        limit: u32::try_from(limit.clamp(1, MAX_NAMES)).unwrap_or(1),
    }
}

/// The first names after `after`, sorted, and whether more follow. Costs memory for `limit` names, however
/// many there are.
fn first(
    names: impl Iterator<Item = Arc<str>>,
    after: &str,
    limit: usize,
) -> (Vec<Arc<str>>, bool) {
    let mut heap = BinaryHeap::with_capacity(limit + 2);
    for name in names.filter(|name| **name > *after) {
        heap.push(name);
        if heap.len() > limit + 1 {
            heap.pop();
        }
    }
    let mut names = heap.into_sorted_vec();
    let more = names.len() > limit;
    names.truncate(limit);
    (names, more)
}

/// Sends a query to a peer, before the future is polled.
fn send_query(
    peer: &Peer,
    namespace: &str,
    query: proto::Query,
) -> impl Future<Output = Result<(Vec<Bytes>, bool), AskError>> + Send + use<> {
    let (sender, response) = oneshot::channel();
    let request = NamespacedRef {
        namespace,
        request: &RequestKind::Query(query),
    };
    peer.link.send(&request, PendingReply::Query(sender));
    async move {
        match answered(response.await)? {
            Outcome::Listing { names, more } => Ok((names, more)),
            // It has nobody there.
            Outcome::NotSent(_) => Ok((Vec::new(), false)),
            _ => Err(AskError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_first_names_in_order() {
        let names = ["d", "a", "c", "e", "b"].map(Arc::<str>::from);
        let (page, more) = first(names.clone().into_iter(), "a", 2);
        assert_eq!((page, more), (vec!["b".into(), "c".into()], true));
        let (page, more) = first(names.into_iter(), "c", 2);
        assert_eq!((page, more), (vec!["d".into(), "e".into()], false));
    }
}
