//! Who is online, on all nodes.
//!
//! Owns the list, and sends it to the clients of this node. Each node enters its own users in one roster of the
//! cluster, and follows it: so it learns of those of other nodes too, and of a crash. Invariants: every client has
//! received the latest list; all clients receive a list only if it differs from the previous one, and at most ten a
//! second, however many come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde::Serialize;
use tieline::{Change, Connection, Exit, Following, Note, Presence, TransitionKind};
use tokio::{task::JoinSet, time};

use super::nodes::Nodes;
use crate::app::{hubs::HubHandle, payload::Payload};

/// Most users that a list names.
const MAX_LISTED: usize = 200;

/// Shortest time between two lists.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// The roster that everybody is in.
const ROSTER: &str = "online";

/// Stands between a user and the node that it is on, in the name of a member. No address has it.
const AT: char = '@';

/// Keeps the list of who is online. Its task ends when it is dropped.
pub(super) struct Roster {
    shared: Arc<Shared>,
    /// `None` if the registry keeps no rosters: then nobody is listed.
    presence: Option<Presence>,
    _task: JoinSet<()>,
}

struct Shared {
    hub: HubHandle,
    nodes: Nodes,
    latest: Mutex<Online>,
}

/// The list, as clients receive it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename = "online")]
struct Online {
    users: Vec<String>,
    total: usize,
    /// The nodes of each of `users`.
    nodes: BTreeMap<String, Vec<String>>,
}

impl Roster {
    pub(super) fn start(hub: HubHandle, nodes: Nodes) -> Self {
        let presence = hub.presence().cloned();
        let shared = Arc::new(Shared {
            hub,
            nodes,
            latest: Mutex::default(),
        });
        let mut task = JoinSet::new();
        if let Some(presence) = presence.clone() {
            task.spawn(follow(presence, Arc::clone(&shared)));
        }
        Self {
            shared,
            presence,
            _task: task,
        }
    }

    /// Sends the latest list to a client that connected here, and lists its user.
    pub(super) async fn connected(&self, client: &Connection) {
        self.shared.send_latest(client);
        if let (Some(presence), Some(user)) = (&self.presence, client.user())
            && let Err(error) = presence.enter(ROSTER, self.shared.member(user), "").await
        {
            tracing::debug!(%error, "a user is not listed");
        }
    }

    /// A client of this node is gone.
    pub(super) fn disconnected(&self, client: &Connection) {
        if let (Some(presence), Some(user)) = (&self.presence, client.user()) {
            presence.exit(ROSTER, &self.shared.member(user), Exit::Disconnected);
        }
    }

    /// The list that was sent last.
    pub(super) fn latest(&self) -> Payload {
        Payload::json(&*self.shared.latest.lock())
    }
}

/// Sends each list that differs, until the presence ends.
async fn follow(presence: Presence, shared: Arc<Shared>) {
    let mut following = match presence.follow(ROSTER).await {
        Ok(following) => following,
        Err(error) => {
            tracing::debug!(%error, "nobody is listed");
            return;
        }
    };
    let mut members = BTreeSet::new();
    while next_changes(&mut following, &mut members).await {
        shared.update(Online::of(&members, &shared.nodes));
        time::sleep(MIN_PAUSE).await;
    }
}

/// Waits for a change, and applies it with all that have come behind it. False at the end.
async fn next_changes(following: &mut Following, members: &mut BTreeSet<Arc<str>>) -> bool {
    let Some(change) = following.next().await else {
        return false;
    };
    let mut change = Some(change);
    while let Some(one) = change.take() {
        match one {
            Change::Snapshot { members: all, .. } => {
                *members = all.iter().map(|member| Arc::clone(&member.user)).collect();
            }
            Change::Transitions { transitions, .. } => {
                for transition in transitions.iter() {
                    let user = Arc::clone(&transition.member.user);
                    match transition.kind {
                        TransitionKind::Left => members.remove(&user),
                        TransitionKind::Joined | TransitionKind::Changed => members.insert(user),
                    };
                }
            }
            _ => {}
        }
        let behind = time::timeout(Duration::ZERO, following.next()).await;
        change = behind.ok().flatten();
    }
    true
}

impl Shared {
    /// The name of a user of this node in the roster.
    fn member(&self, user: &str) -> String {
        let node = self.hub.cluster().address().unwrap_or_default();
        format!("{node}{AT}{user}")
    }

    /// Sends the list to the clients of this node, if it has changed.
    fn update(&self, online: Online) {
        let mut latest = self.latest.lock();
        if *latest == online {
            return;
        }
        let note = online.note();
        *latest = online;
        drop(latest);
        let clients = self.hub.cluster().hub().connections();
        for client in clients.iter().filter(|client| !is_simple(client)) {
            client.emit(note.clone());
        }
    }

    /// Sends the latest list to one client. The lock is held, so that a newer list follows it.
    fn send_latest(&self, client: &Connection) {
        let latest = self.latest.lock();
        // Before the first one the list is empty, and the one that follows differs.
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

    /// The list of these members of the roster.
    fn of(members: &BTreeSet<Arc<str>>, nodes: &Nodes) -> Self {
        let mut nodes_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (node, user) in members.iter().filter_map(|member| member.split_once(AT)) {
            let on = nodes_of.entry(user.to_owned()).or_default();
            on.push(nodes.name(Some(node)));
        }
        let total = nodes_of.len();
        let nodes: BTreeMap<_, _> = nodes_of.into_iter().take(MAX_LISTED).collect();
        Self {
            users: nodes.keys().cloned().collect(),
            total,
            nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn online(names: &[(&str, &str)]) -> Online {
        let pages = [("127.0.0.1:8080", "n1"), ("127.0.0.1:8081", "n2")];
        let nodes = pages.map(|(page, node)| (page.parse().unwrap(), Some(node.into())));
        let names = names.iter();
        let members = names.map(|(name, on)| Arc::from(format!("{on}{AT}{name}")));
        Online::of(&members.collect(), &nodes.into_iter().collect())
    }

    #[test]
    fn a_user_is_listed_once_with_every_node() {
        let online = online(&[("ada@x", "n1"), ("ada@x", "n2"), ("ben", "n3")]);
        assert_eq!(online.total, 2);
        assert_eq!(online.users, ["ada@x", "ben"]);
        assert_eq!(online.nodes["ada@x"], ["127.0.0.1:8080", "127.0.0.1:8081"]);
        assert_eq!(online.nodes["ben"], ["n3"], "a node of another process");
    }

    #[test]
    fn the_list_has_the_form_that_the_page_expects() {
        let json = serde_json::to_string(&online(&[("ada", "n1")])).unwrap();
        let expected =
            r#"{"kind":"online","users":["ada"],"total":1,"nodes":{"ada":["127.0.0.1:8080"]}}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_list_is_bounded_and_says_how_many_there_are() {
        let names: Vec<_> = (0..1000).map(|n| format!("{n:04}")).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), "n1")).collect();
        let online = online(&names);
        assert_eq!(online.users.len(), MAX_LISTED);
        assert_eq!(online.nodes.len(), MAX_LISTED);
        assert_eq!(online.total, 1000);
    }
}
