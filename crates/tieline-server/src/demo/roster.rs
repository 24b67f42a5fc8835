//! Who is online, on all nodes.
//!
//! Owns the list, and sends it to the clients of this node. Each node polls all nodes for its own
//! clients: when a client connects or disconnects here, and every second for changes on other nodes,
//! crashes included. Invariants: every client has received the latest list; all clients receive a list
//! only if it differs from the previous one. However many clients come and go, each poll is followed by a
//! pause four times as long as the poll took, between a tenth of a second and a second.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;
use tieline::{Cluster, Connection, Listed, Note};
use tokio::{sync::Notify, task::JoinSet, time};

use super::nodes::Nodes;
use crate::app::payload::Payload;

/// Most users that a list names.
const MAX_LISTED: usize = 200;

/// Most users that are counted, and the page size of a poll.
const MAX_COUNTED: usize = 1000;

/// Shortest pause between two polls, and so between two lists.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Longest time between two polls, and so the delay until a change on another node is seen.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the list of who is online. Its task ends when it is dropped.
pub(super) struct Roster {
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    cluster: Cluster,
    nodes: Nodes,
    refresh: Notify,
    latest: Mutex<Online>,
}

/// The list, as clients receive it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename = "online")]
struct Online {
    users: Vec<String>,
    total: usize,
    /// Whether there are more users than `total`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// The nodes of each of `users`.
    nodes: BTreeMap<String, Vec<String>>,
}

impl Roster {
    pub(super) fn start(cluster: Cluster, nodes: Nodes) -> Self {
        let shared = Arc::new(Shared {
            cluster,
            nodes,
            refresh: Notify::new(),
            latest: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(poll(Arc::clone(&shared)));
        Self {
            shared,
            _task: task,
        }
    }

    /// Sends the latest list to a client that connected here, and polls soon. The list may stay the same,
    /// if the user is online already, and then no other list would come.
    pub(super) fn connected(&self, client: &Connection) {
        self.shared.send_latest(client);
        self.refresh();
    }

    /// Polls soon, because a client connected or disconnected here.
    pub(super) fn refresh(&self) {
        self.shared.refresh.notify_one();
    }

    /// The list that was sent last.
    pub(super) fn latest(&self) -> Payload {
        Payload::json(&*self.shared.latest.lock())
    }
}

async fn poll(shared: Arc<Shared>) {
    loop {
        let begin = Instant::now();
        let listed = shared.cluster.users(None, MAX_COUNTED).await;
        let pause = (begin.elapsed() * 4).clamp(MIN_PAUSE, POLL_INTERVAL);
        shared.update(Online::from_listing(listed, &shared.nodes));
        time::sleep(pause).await;
        // Either way, the next poll is due.
        let rest = POLL_INTERVAL.saturating_sub(pause);
        let _ = time::timeout(rest, shared.refresh.notified()).await;
    }
}

impl Shared {
    /// Sends the list to the clients of this node, if it has changed.
    fn update(&self, online: Online) {
        let mut latest = self.latest.lock();
        if *latest == online {
            return;
        }
        let note = online.note();
        *latest = online;
        drop(latest);
        let clients = self.cluster.hub().connections();
        for client in clients.iter().filter(|client| !is_simple(client)) {
            client.emit(note.clone());
        }
    }

    /// Sends the latest list to one client. The lock is held, so that a newer list follows it.
    fn send_latest(&self, client: &Connection) {
        let latest = self.latest.lock();
        // Before the first poll the list is empty, and the one that follows differs.
        if latest.total > 0 && !is_simple(client) {
            client.emit(latest.note());
        }
    }
}

/// Whether a client reads bare payloads. It shows each to a person, who cannot read a list.
pub(super) fn is_simple(client: &Connection) -> bool {
    client.subprotocol().is_none()
}

impl Online {
    fn note(&self) -> Note {
        Payload::json(self).to_note()
    }

    fn from_listing(listed: Listed, nodes: &Nodes) -> Self {
        let mut nodes_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, node) in listed.names {
            let on = nodes_of.entry(name.to_string()).or_default();
            let node = nodes.name(node.as_deref());
            if !on.contains(&node) {
                on.push(node);
            }
        }
        let total = nodes_of.len();
        let nodes: BTreeMap<_, _> = nodes_of.into_iter().take(MAX_LISTED).collect();
        Self {
            users: nodes.keys().cloned().collect(),
            total,
            more: listed.more,
            nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn online(names: &[(&str, &str)], more: bool) -> Online {
        let pages = [("127.0.0.1:8080", "n1"), ("127.0.0.1:8081", "n2")];
        let nodes = pages.map(|(page, node)| (page.parse().unwrap(), Some(node.into())));
        let mut listed = Listed::default();
        let names = names.iter();
        listed.names = names
            .map(|(name, on)| ((*name).into(), Some((*on).into())))
            .collect();
        listed.more = more;
        Online::from_listing(listed, &nodes.into_iter().collect())
    }

    #[test]
    fn a_user_is_listed_once_with_every_node() {
        let online = online(&[("ada", "n1"), ("ada", "n2"), ("ben", "n3")], false);
        assert_eq!((online.total, online.more), (2, false));
        assert_eq!(online.users, ["ada", "ben"]);
        assert_eq!(online.nodes["ada"], ["127.0.0.1:8080", "127.0.0.1:8081"]);
        assert_eq!(online.nodes["ben"], ["n3"], "a node of another process");
    }

    #[test]
    fn the_list_has_the_form_that_the_page_expects() {
        let json = serde_json::to_string(&online(&[("ada", "n1")], false)).unwrap();
        let expected =
            r#"{"kind":"online","users":["ada"],"total":1,"nodes":{"ada":["127.0.0.1:8080"]}}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_list_is_bounded_and_says_so() {
        let names: Vec<_> = (0..1000).map(|n| format!("{n:04}")).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), "n1")).collect();
        let online = online(&names, true);
        assert_eq!(online.users.len(), MAX_LISTED);
        assert_eq!(online.nodes.len(), MAX_LISTED);
        assert_eq!((online.total, online.more), (1000, true));
    }
}
