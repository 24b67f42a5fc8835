//! What is told of a client that is followed.
//!
//! Owns the form, which is that of the admin API too.

use std::{
    net::SocketAddr,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tieline::{Connection, Delivery};
use tokio::time::Instant;

use super::report::{FrameReport, cut};
use crate::app::{
    clock,
    events::GroupChange,
    limits::slow_downs::{SlowDowns, SlowedByReport},
};

/// Something that happened to a client, or to the following itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FollowEvent {
    /// Milliseconds since 1970, by the clock of the node.
    pub(crate) at: u64,
    /// Where it happened.
    #[serde(default)]
    pub(crate) node: String,
    #[serde(flatten)]
    pub(super) client: Option<FollowedClient>,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// The connection that an event is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FollowedClient {
    hub: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

/// What [`What::Ended`] says if the one connection that was followed has ended, and so all was told.
pub(crate) const CONNECTION_HAS_ENDED: &str = "the connection has ended";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// The node tells what happens from now on, and has so many connections that are meant.
    Following {
        connections: u64,
    },
    /// The connection was there before.
    Present(Origin),
    Connected(Origin),
    /// By the client.
    Received(FrameReport),
    /// To the client: it is in its outbox.
    Sent(FrameReport),
    Joined {
        group: String,
    },
    Left {
        group: String,
    },
    /// What the client asked for was not done.
    Refused {
        error: String,
        message: String,
    },
    /// A limit has slowed the client down, since this was last told.
    SlowedDown {
        times: u64,
        /// For how long in all.
        ms: u64,
        /// By which limit the last time.
        #[serde(flatten)]
        by: SlowedByReport,
    },
    /// A message of the client was not sent to the clients of a node, or it is not known whether they got it.
    NotReached {
        peer: String,
        message: String,
    },
    /// The event handler has answered an event of the client, or has not.
    Handled {
        event: String,
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        ms: u64,
    },
    Closed {
        code: u16,
        reason: String,
    },
    /// The node follows as many connections of the client as it may.
    NotFollowed,
    /// So many events of this node are missing here.
    Missed {
        count: u64,
    },
    /// The node does not tell anything now.
    NodeMissed {
        message: String,
    },
    /// Nothing more will come.
    Ended {
        message: String,
    },
}

/// Where a client connects from, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Origin {
    address: Option<SocketAddr>,
    subprotocol: Option<String>,
}

impl What {
    pub(crate) fn refused(error: &str, message: &str) -> Self {
        Self::Refused {
            error: error.to_owned(),
            message: cut(message),
        }
    }

    /// The client was slowed down, in addition to what was told before.
    pub(super) fn slowed_down(now: &SlowDowns, before: Option<&SlowDowns>) -> Self {
        let (times, total) = before.map_or((0, Duration::ZERO), |it| (it.times, it.total));
        Self::SlowedDown {
            times: now.times.saturating_sub(times),
            ms: millis_of(now.total.saturating_sub(total)),
            by: now.by.report(),
        }
    }

    /// A client has joined or left a group.
    pub(crate) fn changed(change: GroupChange, group: &str) -> Self {
        let group = cut(group);
        match change {
            GroupChange::Joined => Self::Joined { group },
            GroupChange::Left => Self::Left { group },
        }
    }

    /// A message of a client missed a node.
    pub(crate) fn not_reached(node: &str, why: Delivery) -> Self {
        Self::NotReached {
            peer: node.to_owned(),
            message: why.to_string(),
        }
    }

    /// The event handler has answered after this time, or has failed for a reason.
    pub(crate) fn handled(event: &str, failure: Option<&str>, took: Duration) -> Self {
        Self::Handled {
            event: cut(event),
            ok: failure.is_none(),
            message: failure.map(cut),
            ms: millis_of(took),
        }
    }
}

impl FollowEvent {
    /// An event of a connection. Which node it is, the one that asks knows.
    pub(super) fn of(connection: &Connection, at: Instant, what: What) -> Self {
        Self {
            at: millis(at),
            node: String::new(),
            client: Some(FollowedClient {
                hub: connection.namespace().to_owned(),
                id: connection.id().as_str().to_owned(),
                user: connection.user().map(str::to_owned),
            }),
            what,
        }
    }

    /// An event of a node, that happens now.
    pub(crate) fn of_node(node: &str, what: What) -> Self {
        Self {
            at: millis(Instant::now()),
            node: node.to_owned(),
            client: None,
            what,
        }
    }
}

impl Origin {
    pub(super) fn of(connection: &Connection) -> Self {
        let address = connection.remote_addr();
        Self {
            address: address
                .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())),
            subprotocol: connection.subprotocol().map(str::to_owned),
        }
    }
}

/// Milliseconds since 1970.
fn millis(at: Instant) -> u64 {
    let since = (clock::now() - at.elapsed()).duration_since(UNIX_EPOCH);
    millis_of(since.unwrap_or_default())
}

fn millis_of(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
