//! The follows of a node.
//!
//! Owns how many there are, and when one ends. Must not know how it is asked for them.

use std::{
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tieline::{Connection, Receipt, Summary};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    event::{FollowEvent, What},
    one::Follow,
    query::{FollowQuery, FollowTarget},
    report::FollowSettings,
};
use crate::app::hubs::Hubs;

/// Most follows of a node, whichever node they are asked of: each keeps up to 10 MiB of what waits, if the clients that
/// it is about send and get much.
const MAX_FOLLOWS: usize = 8;

/// How long a request for events waits for some. Shorter than the deadline of the request.
const WAIT: Duration = Duration::from_secs(1);

/// How long a follow lasts that nobody asks for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a node has to tell. The first request for a follow begins it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FollowPart {
    Events {
        /// How many events were told before.
        before: u64,
        /// How many connections it was about before these events; the first time, those that were there.
        connections: u64,
        events: Vec<FollowEvent>,
    },
    /// There are as many follows as there may be.
    Full { most: usize },
}

/// The follows of a node. Clones share them.
#[derive(Clone)]
pub(crate) struct Follows(Arc<Shared>);

struct Shared {
    settings: FollowSettings,
    /// How many there are, so that who has something to tell need not look.
    count: AtomicUsize,
    all: Mutex<Vec<Arc<Follow>>>,
}

impl Follows {
    pub(crate) fn new(settings: FollowSettings) -> Self {
        Self(Arc::new(Shared {
            settings,
            count: AtomicUsize::new(0),
            all: Mutex::default(),
        }))
    }

    /// A client has connected, and nothing was received from it yet.
    pub(crate) fn connected(&self, connection: &Connection) {
        for follow in self.of(connection) {
            follow.add(connection, What::Connected);
        }
    }

    /// Something happened to a client that is no frame.
    pub(crate) fn note(&self, connection: &Connection, what: impl Fn() -> What) {
        for follow in self.of(connection) {
            follow.note(connection, what());
        }
    }

    /// Tells which nodes a message of a client did not reach.
    pub(crate) fn sent(&self, connection: &Connection, result: Receipt<Summary>) {
        if self.of(connection).is_empty() {
            return;
        }
        let (follows, connection) = (self.clone(), connection.clone());
        result.on_outcome(move |summary| {
            for (node, why) in summary.missed() {
                follows.note(&connection, || What::not_reached(node, why));
            }
        });
    }

    /// Whether anybody follows somebody.
    pub(crate) fn is_any(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
    }

    /// Those who follow a connection.
    fn of(&self, connection: &Connection) -> Vec<Arc<Follow>> {
        if !self.is_any() {
            return Vec::new();
        }
        let all = self.0.all.lock();
        let meant = all.iter().filter(|follow| follow.query.means(connection));
        meant.cloned().collect()
    }

    /// What has happened since the last request for the same follow: at once, or when something does, or nothing after
    /// a second. The first request is answered at once, so that whoever asks knows that the follow has begun.
    pub(crate) async fn part(&self, query: FollowQuery, hubs: &Hubs) -> FollowPart {
        let Some((follow, wait)) = self.find_or_begin(query, hubs) else {
            return FollowPart::Full { most: MAX_FOLLOWS };
        };
        follow.touch();
        let (connections, before) = follow.counts();
        // Looks once also if it does not wait.
        let events = timeout(wait, poll_fn(|cx| follow.poll(cx))).await;
        follow.touch();
        FollowPart::Events {
            before,
            connections,
            events: events.unwrap_or_default(),
        }
    }

    /// The follow, and how long a request for it waits.
    fn find_or_begin(&self, query: FollowQuery, hubs: &Hubs) -> Option<(Arc<Follow>, Duration)> {
        let mut all = self.0.all.lock();
        let found = all.iter().find(|other| other.query.follow == query.follow);
        if let Some(found) = found {
            return Some((Arc::clone(found), WAIT));
        }
        if all.len() >= MAX_FOLLOWS {
            return None;
        }
        let follow = Arc::new(Follow::new(query, self.0.settings));
        all.push(Arc::clone(&follow));
        self.0.count.store(all.len(), Ordering::Release);
        drop(all);
        // From here on, nobody connects unseen.
        for connection in present(&follow.query, hubs) {
            follow.add(&connection, What::Present);
        }
        tokio::spawn(end_when_idle(
            Arc::downgrade(&self.0),
            Arc::downgrade(&follow),
        ));
        Some((follow, Duration::ZERO))
    }
}

/// The connections of this node that are meant.
fn present(query: &FollowQuery, hubs: &Hubs) -> Vec<Connection> {
    let mut open = hubs.open_hubs();
    open.retain(|hub| {
        let asked = query.hub.as_deref();
        asked.is_none_or(|asked| asked == hub.name().as_str())
    });
    let of_hub = |hub: &crate::app::hubs::HubHandle| match &query.target {
        FollowTarget::Connection(id) => hub.cluster().hub().connection(id).into_iter().collect(),
        FollowTarget::User(user) => hub.cluster().hub().user(user),
    };
    open.iter().flat_map(of_hub).collect()
}

/// Ends a follow once nobody has asked for it for a while: a node that has asked may be gone.
async fn end_when_idle(shared: Weak<Shared>, follow: Weak<Follow>) {
    while let Some(asked) = follow.upgrade().map(|follow| follow.asked()) {
        let due = asked + PATIENCE;
        if due > Instant::now() {
            sleep_until(due).await;
            continue;
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut all = shared.all.lock();
        all.retain(|other| !std::ptr::eq(Arc::as_ptr(other), follow.as_ptr()));
        shared.count.store(all.len(), Ordering::Release);
        return;
    }
}
