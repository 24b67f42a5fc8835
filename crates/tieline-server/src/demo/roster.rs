//! Who is online, over all nodes.
//!
//! Owns the list, and telling it to the visitors of this node. Every node does so for its own, by
//! asking all nodes: at once when someone comes or goes here, and every second for those who come and
//! go elsewhere, or whose node died. Invariants: a list is told only when it differs from the one
//! before; however many come and go, a look is followed by a pause four times as long, of a tenth of a
//! second to a whole one.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;
use tieline::{Cluster, Listed};
use tokio::{sync::Notify, task::JoinSet, time};

use super::Nodes;
use crate::app::user::user_named;
use crate::wire::webpubsub::Payload;

/// Users that a list names at most.
const MOST_USERS: usize = 200;

/// Users that are counted: what one look at the nodes brings.
const MOST_COUNTED: usize = 1000;

/// The list of who is online goes out this often at most.
const PRESENCE_PAUSE: Duration = Duration::from_millis(100);

/// How often the other nodes are asked.
const POLL: Duration = Duration::from_secs(1);

/// Who is online. Its task ends with this value.
pub(super) struct OnlineStatus {
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    cluster: Cluster,
    nodes: Nodes,
    changed: Notify,
    latest: Mutex<Online>,
}

/// The list, as visitors get it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
struct Online {
    kind: &'static str,
    users: Vec<String>,
    total: usize,
    /// Whether there are more than `total`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// The nodes of each of `users`.
    nodes: BTreeMap<String, Vec<String>>,
}

impl OnlineStatus {
    pub(super) fn start(cluster: Cluster, nodes: Nodes) -> Self {
        let shared = Arc::new(Shared {
            cluster,
            nodes,
            changed: Notify::new(),
            latest: Mutex::new(Online {
                kind: "online",
                ..Online::default()
            }),
        });
        let mut task = JoinSet::new();
        task.spawn(watch(Arc::clone(&shared)));
        Self {
            shared,
            _task: task,
        }
    }

    /// Someone came or went here.
    pub(super) fn changed(&self) {
        self.shared.changed.notify_one();
    }

    /// The list as it was told last.
    pub(super) fn latest(&self) -> Payload {
        Payload::json(&*self.shared.latest.lock())
    }
}

async fn watch(shared: Arc<Shared>) {
    loop {
        let begun = Instant::now();
        let listed = shared.cluster.users(None, MOST_COUNTED).await;
        let pause = (begun.elapsed() * 4).clamp(PRESENCE_PAUSE, POLL);
        shared.tell(Online::of(listed, &shared.nodes));
        time::sleep(pause).await;
        // Whether someone changed it or the time is over, it is time to look.
        let _ = time::timeout(POLL.saturating_sub(pause), shared.changed.notified()).await;
    }
}

impl Shared {
    /// Tells the visitors of this node, if it is news.
    fn tell(&self, online: Online) {
        let mut latest = self.latest.lock();
        if *latest == online {
            return;
        }
        let frame = Payload::json(&online).as_server_message();
        *latest = online;
        drop(latest);
        // Simple clients talk to people, not to programs: presence is nothing to them.
        let visitors = self.cluster.hub().connections();
        for visitor in visitors.iter().filter(|c| c.subprotocol().is_some()) {
            visitor.emit(frame.clone());
        }
    }
}

impl Online {
    fn of(listed: Listed, nodes: &Nodes) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, node) in listed.names {
            let on = all.entry(user_named(&name).to_owned()).or_default();
            let node = nodes.name(node.as_deref());
            if !on.contains(&node) {
                on.push(node);
            }
        }
        let total = all.len();
        let nodes: BTreeMap<_, _> = all.into_iter().take(MOST_USERS).collect();
        Self {
            kind: "online",
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

    fn look(names: &[(&str, &str)], more: bool) -> Online {
        let pages = [("127.0.0.1:8080", "n1"), ("127.0.0.1:8081", "n2")];
        let nodes = pages.map(|(page, node)| (page.parse().unwrap(), Some(node.into())));
        let mut listed = Listed::default();
        let names = names.iter();
        listed.names = names
            .map(|(name, on)| ((*name).into(), Some((*on).into())))
            .collect();
        listed.more = more;
        Online::of(listed, &nodes.into_iter().collect())
    }

    #[test]
    fn a_user_is_listed_once_with_every_node() {
        let online = look(
            &[
                ("j:ada", "n1"),
                ("j:ada", "n2"),
                ("j:ben", "n3"),
                ("s:ada", "n1"),
            ],
            false,
        );
        assert_eq!((online.total, online.more), (2, false));
        assert_eq!(online.users, ["ada", "ben"]);
        assert_eq!(online.nodes["ada"], ["127.0.0.1:8080", "127.0.0.1:8081"]);
        assert_eq!(online.nodes["ben"], ["n3"], "a node of another process");
    }

    #[test]
    fn a_list_is_bounded_and_says_so() {
        let names: Vec<_> = (0..1000).map(|n| format!("j:{n:04}")).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), "n1")).collect();
        let online = look(&names, true);
        assert_eq!(online.users.len(), MOST_USERS);
        assert_eq!(online.nodes.len(), MOST_USERS);
        assert_eq!((online.total, online.more), (1000, true));
    }
}
