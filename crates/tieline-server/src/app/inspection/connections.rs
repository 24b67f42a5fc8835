//! The connections of all nodes, searched and listed in pages.
//!
//! Owns what is said of a connection, which ones a query means, and the order of pages: by hub, then by id. Must not
//! know who asks. Invariant: a page has no gap: where a node had more than it could send, the others' later ones are
//! left for the next page.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tieline::Connection;
use tokio::task::yield_now;

use super::census::SLICE;
use crate::app::{
    client_data::{self, PusherData, SharedClientData},
    hubs::HubHandle,
    limits::slow_downs::{SlowDowns, SlowedByReport},
};

/// Most connections of a page.
pub(crate) const MAX_LIMIT: usize = 500;

/// Most groups and roles that are listed of a connection.
const MAX_NAMES: usize = 100;

/// About how many bytes of names a node sends in a page.
const MAX_BYTES: usize = 1 << 20;

/// Which connections are meant: those that have all that is given.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ConnectionQuery {
    pub(crate) hub: Option<String>,
    /// The beginning of the id.
    pub(crate) id: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    /// The beginning of the address, as text.
    pub(crate) address: Option<String>,
    /// Those after this one, as `HUB/ID`.
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

/// A connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConnectionReport {
    pub(crate) hub: String,
    pub(crate) id: String,
    pub(crate) user: Option<String>,
    /// The address of its node.
    pub(crate) node: String,
    /// Where the client, or a proxy, connects from.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) wire: String,
    pub(crate) subprotocol: Option<String>,
    /// Seconds since 1970.
    pub(crate) since: Option<u32>,
    pub(crate) queued_frames: u64,
    pub(crate) queued_bytes: u64,
    /// How it was slowed down by limits; `None` if it never was.
    #[serde(default)]
    pub(crate) slowed_down: Option<SlowDownReport>,
    /// The first of them, in order.
    pub(crate) groups: Vec<String>,
    pub(crate) group_count: u64,
    /// The first of them.
    pub(crate) roles: Vec<String>,
}

/// How a client was slowed down since it connected.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SlowDownReport {
    /// Whether it is not read from at the moment.
    now: bool,
    times: u64,
    /// In all.
    seconds: f64,
    /// By which limit the last time.
    #[serde(flatten)]
    by: SlowedByReport,
}

/// A page, of a node or of all.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) connections: Vec<ConnectionReport>,
    /// Whether there are later ones.
    pub(crate) more: bool,
}

impl ConnectionReport {
    /// What `node`, which has the connection, says of it.
    pub(super) fn new(connection: &Connection, node: &str) -> Self {
        let (frames, bytes) = connection.queued();
        let mut groups = connection.groups();
        groups.sort_unstable();
        let data = connection.data::<SharedClientData>();
        let data = data.map(|data| {
            let data = data.lock();
            (data.since(), data.roles().clone())
        });
        let pusher = connection.data::<PusherData>();
        let roles = data.iter().flat_map(|(_, roles)| roles.names());
        Self {
            hub: connection.namespace().to_owned(),
            id: connection.id().as_str().to_owned(),
            user: connection.user().map(str::to_owned),
            node: node.to_owned(),
            address: connection.remote_addr().map(canonical),
            wire: if pusher.is_some() {
                "pusher"
            } else {
                "webpubsub"
            }
            .to_owned(),
            subprotocol: connection.subprotocol().map(str::to_owned),
            since: match (&data, &pusher) {
                (Some((since, _)), _) => Some(*since),
                (None, pusher) => pusher.as_ref().map(|data| data.since()),
            },
            queued_frames: frames as u64,
            queued_bytes: bytes as u64,
            slowed_down: client_data::slow_downs(connection).map(SlowDownReport::from),
            group_count: groups.len() as u64,
            groups: groups
                .iter()
                .take(MAX_NAMES)
                .map(ToString::to_string)
                .collect(),
            roles: roles.take(MAX_NAMES).collect(),
        }
    }

    fn key(&self) -> (&str, &str) {
        (&self.hub, &self.id)
    }

    fn bytes(&self) -> usize {
        let names = self.groups.iter().chain(&self.roles);
        let user = self.user.as_deref().map_or(0, str::len);
        200 + user + names.map(String::len).sum::<usize>()
    }
}

impl From<SlowDowns> for SlowDownReport {
    fn from(slowed: SlowDowns) -> Self {
        Self {
            now: slowed.is_now(),
            times: slowed.times,
            seconds: (slowed.total.as_secs_f64() * 1000.0).round() / 1000.0,
            by: slowed.by.report(),
        }
    }
}

/// The page of this node. `hubs` in order.
pub(super) async fn page(hubs: &[HubHandle], query: &ConnectionQuery, node: &str) -> Page {
    let after = query.after.as_deref().map(|after| {
        let (hub, id) = after.split_once('/').unwrap_or((after, ""));
        (hub, id)
    });
    let (mut page, mut bytes) = (Page::default(), 0);
    for hub in hubs {
        let name = hub.name().as_str();
        if query.hub.as_deref().is_some_and(|asked| asked != name)
            || after.is_some_and(|(last, _)| name < last)
        {
            continue;
        }
        let after = after.filter(|(last, _)| *last == name).map(|(_, id)| id);
        let mut found = matching(hub, query, after).await;
        found.sort_unstable_by(|one, other| one.id().cmp(other.id()));
        for (at, connection) in found.iter().enumerate() {
            if page.connections.len() >= query.limit || bytes >= MAX_BYTES {
                page.more = true;
                return page;
            }
            let report = ConnectionReport::new(connection, node);
            bytes += report.bytes();
            page.connections.push(report);
            if at % SLICE == SLICE - 1 {
                yield_now().await;
            }
        }
    }
    page
}

/// The connections of a hub that a query means, the first of them after an id: one more than the page may have.
async fn matching(
    hub: &HubHandle,
    query: &ConnectionQuery,
    after: Option<&str>,
) -> Vec<Connection> {
    let local = hub.cluster().hub();
    let candidates = match (&query.user, &query.group) {
        (Some(user), _) => local.user(user),
        (None, Some(group)) => local.members(group),
        (None, None) => local.connections(),
    };
    let most = query.limit + 1;
    let mut found = Vec::new();
    for (at, connection) in candidates.into_iter().enumerate() {
        if after.is_none_or(|after| connection.id().as_str() > after) && query.means(&connection) {
            found.push(connection);
        }
        if found.len() >= 2 * most {
            found.select_nth_unstable_by(most, |one, other| one.id().cmp(other.id()));
            found.truncate(most);
        }
        if at % SLICE == SLICE - 1 {
            yield_now().await;
        }
    }
    found
}

impl ConnectionQuery {
    fn means(&self, connection: &Connection) -> bool {
        let is = |asked: &Option<String>, found: &dyn Fn(&str) -> bool| {
            asked.as_deref().is_none_or(found)
        };
        is(&self.id, &|id| connection.id().as_str().starts_with(id))
            && is(&self.user, &|user| connection.user() == Some(user))
            && is(&self.address, &|begin| {
                let address = connection.remote_addr().map(canonical);
                address.is_some_and(|address| address.to_string().starts_with(begin))
            })
            && is(&self.group, &|group| {
                connection.groups().iter().any(|own| **own == *group)
            })
    }
}

/// The pages of all nodes as one, of at most `limit`.
pub(crate) fn merge(parts: impl IntoIterator<Item = Page>, limit: usize) -> Page {
    let (mut merged, mut cut) = (Page::default(), None::<(String, String)>);
    for part in parts {
        if let Some(last) = part.connections.last().filter(|_| part.more) {
            let key = (last.hub.clone(), last.id.clone());
            cut = Some(match cut {
                Some(cut) => cut.min(key),
                None => key,
            });
        }
        merged.more |= part.more;
        merged.connections.extend(part.connections);
    }
    let connections = &mut merged.connections;
    connections.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
    if let Some((hub, id)) = cut {
        connections.retain(|connection| connection.key() <= (&*hub, &*id));
    }
    merged.more |= connections.len() > limit;
    connections.truncate(limit);
    merged
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
