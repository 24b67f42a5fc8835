//! Lists and questions that go over all nodes.

use std::{collections::BinaryHeap, sync::Arc};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Cluster, Inner, Listed, OnlineStatus, peers::Peer, pending::PendingReply};
use crate::{
    Connection,
    link::{self, Outcome, RequestKind, proto},
    registry::{Entry, Owner},
};

/// Names of one page at most: a page must fit a message between nodes.
const MOST: usize = 1000;

impl Cluster {
    /// Whether each of these clients is connected, in order: their nodes are asked. One question to the
    /// registry for each that is not here, one to each node.
    pub async fn online<I>(&self, ids: I) -> Vec<OnlineStatus>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let ids: Vec<Arc<str>> = ids.into_iter().map(|id| id.as_ref().into()).collect();
        let asked: Vec<_> = ids.iter().map(|id| self.inner.online_status(id)).collect();
        let mut answers = Vec::with_capacity(ids.len());
        for presence in asked {
            answers.push(presence.await);
        }
        answers
    }

    /// A page of the clients in a group, in order, with their nodes; begins behind `after`, holds at
    /// most `most` names, of which there are at most 1,000. Costs each node that may have members a
    /// visit of these.
    pub async fn members(&self, group: &str, after: Option<&str>, most: usize) -> Listed {
        let hash = link::hash(proto::Scope::Group, group);
        let ask = ask(proto::QueryKind::Members, [group], after, most);
        self.inner.list(ask, |peer| peer.link.may_have(hash)).await
    }

    /// A page of all clients. Costs each node a visit of all of its connections.
    pub async fn clients(&self, after: Option<&str>, most: usize) -> Listed {
        let ask = ask(proto::QueryKind::Clients, [], after, most);
        self.inner.list(ask, |_| true).await
    }

    /// A page of all users. A user who is on several nodes comes once for each.
    pub async fn users(&self, after: Option<&str>, most: usize) -> Listed {
        let ask = ask(proto::QueryKind::Users, [], after, most);
        self.inner.list(ask, |_| true).await
    }
}

fn ask<const N: usize>(
    kind: proto::QueryKind,
    names: [&str; N],
    after: Option<&str>,
    most: usize,
) -> proto::Query {
    let bytes = |name: &str| Bytes::copy_from_slice(name.as_bytes());
    proto::Query {
        kind: kind.into(),
        names: names.into_iter().map(bytes).collect(),
        after: bytes(after.unwrap_or_default()),
        most: u32::try_from(most.clamp(1, MOST)).unwrap_or(1),
    }
}

impl Inner {
    /// Whether a client is connected; asks twice, since it may have moved between the registry's answer
    /// and its node's.
    fn online_status(
        self: &Arc<Self>,
        id: &Arc<str>,
    ) -> impl Future<Output = OnlineStatus> + Send + use<> {
        let (cluster, id) = (Arc::clone(self), Arc::clone(id));
        let (sender, presence) = oneshot::channel();
        self.tasks.spawn(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(cluster.look_for(&id).await);
        });
        async move { presence.await.unwrap_or(OnlineStatus::Unknown) }
    }

    async fn look_for(self: &Arc<Self>, id: &str) -> OnlineStatus {
        let mut before = None;
        for fresh in [false, true] {
            if self.here(id).is_some() {
                return OnlineStatus::Online;
            }
            let entry = self.locate(id, fresh).await.ok();
            if fresh && entry == before {
                break;
            }
            match self.confirm(id, entry.as_ref()).await {
                OnlineStatus::Offline => before = entry,
                answer => return answer,
            }
        }
        OnlineStatus::Offline
    }

    /// Asks the node that the registry names.
    async fn confirm(self: &Arc<Self>, id: &str, entry: Option<&Option<Entry>>) -> OnlineStatus {
        let entry = match entry {
            None => return OnlineStatus::Unknown,
            Some(None) if self.absent() == proto::OutcomeCode::Unknown => {
                return OnlineStatus::Unknown;
            }
            Some(None) => return OnlineStatus::Offline,
            Some(Some(entry)) => entry,
        };
        if self.address.as_deref() == Some(&*entry.address) {
            return OnlineStatus::Offline;
        }
        let peer = self.peers.get_or_connect(&entry.address, self);
        let dead = matches!(entry.owner, Owner::Node { leased: false, .. });
        if dead && !peer.link.is_up() {
            return OnlineStatus::Offline;
        }
        match ask_peer(&peer, ask(proto::QueryKind::Online, [id], None, 1)).await {
            Some((names, _)) if names.is_empty() => OnlineStatus::Offline,
            Some(_) => OnlineStatus::Online,
            None => OnlineStatus::Unknown,
        }
    }

    /// A page over this node and every other that is wanted.
    async fn list(self: &Arc<Self>, ask: proto::Query, wanted: impl Fn(&Peer) -> bool) -> Listed {
        let most = ask.most as usize;
        let peers = self.peers.all();
        let asked = peers
            .values()
            .filter(|peer| peer.is_in_membership() && wanted(peer));
        let asked = asked.map(|peer| (Arc::clone(peer), ask_peer(peer, ask.clone())));
        let asked: Vec<_> = asked.collect();
        let (own, more) = self.list_here(&ask);
        let mut listed = Listed {
            more,
            ..Listed::default()
        };
        let own = own.into_iter().map(|name| (name, self.address.clone()));
        listed.names.extend(own);
        for (peer, answer) in asked {
            match answer.await {
                Some((names, more)) => {
                    let names = names
                        .iter()
                        .filter_map(|name| std::str::from_utf8(name).ok());
                    let node = || Some(Arc::clone(&peer.address));
                    listed.names.extend(names.map(|name| (name.into(), node())));
                    listed.more |= more;
                }
                None => listed.missed.push(Arc::clone(&peer.address)),
            }
        }
        listed.names.sort_unstable();
        listed.more |= listed.names.len() > most;
        listed.names.truncate(most);
        listed
    }

    /// This node's part of a list, in order, and whether more follows.
    pub(super) fn list_here(&self, ask: &proto::Query) -> (Vec<Arc<str>>, bool) {
        let after = std::str::from_utf8(&ask.after).unwrap_or_default();
        let most = (ask.most as usize).clamp(1, MOST);
        let ids = |connections: Vec<Connection>| {
            let ids = connections.into_iter().map(|c| Arc::from(c.id().as_str()));
            first(ids, after, most)
        };
        let names = || {
            ask.names
                .iter()
                .filter_map(|name| std::str::from_utf8(name).ok())
        };
        match ask.kind() {
            proto::QueryKind::Barrier => (Vec::new(), false),
            proto::QueryKind::Online => {
                let here = names().filter(|id| self.here(id).is_some());
                (here.map(Arc::from).collect(), false)
            }
            proto::QueryKind::Members => match names().next() {
                Some(group) => ids(self.hub.members(group)),
                None => (Vec::new(), false),
            },
            proto::QueryKind::Clients => ids(self.hub.connections()),
            proto::QueryKind::Users => first(self.hub.users().into_iter(), after, most),
        }
    }
}

/// The first names behind `after`, in order, and whether more follow. Holds no more than it returns.
fn first(names: impl Iterator<Item = Arc<str>>, after: &str, most: usize) -> (Vec<Arc<str>>, bool) {
    let mut heap = BinaryHeap::with_capacity(most + 2);
    for name in names.filter(|name| **name > *after) {
        heap.push(name);
        if heap.len() > most + 1 {
            heap.pop();
        }
    }
    let mut names = heap.into_sorted_vec();
    let more = names.len() > most;
    names.truncate(most);
    (names, more)
}

/// Puts a question to a peer now; its answer, or `None` if none came.
fn ask_peer(
    peer: &Peer,
    ask: proto::Query,
) -> impl Future<Output = Option<(Vec<Bytes>, bool)>> + Send + use<> {
    let (sender, answer) = oneshot::channel();
    peer.link
        .send(&RequestKind::Query(ask), PendingReply::Query(sender));
    async move {
        match answer.await {
            Ok(Outcome::Listing { names, more }) => Some((names, more)),
            _ => None,
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
