//! What one node answers.
//!
//! Owns the numbers that are kept between two answers: rates, and a count of users and groups that is not taken anew
//! for everybody who asks. Must not know who asks. Invariant: nothing is counted while nobody asks.

use std::time::Duration;

use parking_lot::Mutex;
use tieline::{Bytes, Cluster, Connection, HubStats, PeerStatus, RequestError};
use tokio::time::Instant;

use super::{
    asking::{Question, SINGLE_NODE, decode, encode},
    census::Census,
    connections::{self, ConnectionReport, MAX_LIMIT},
    groups::Groups,
    reports::{HandlerReport, LinkReport, NodeReport, up_or_down},
};
use crate::app::{
    follow::{FollowPart, FollowQuery, FollowSettings, Follows},
    hubs::{HubHandle, Hubs},
};

/// How long a count of users and groups is shown.
const CENSUS_AGE: Duration = Duration::from_secs(5);

/// The shortest time that a rate is taken over.
const MIN_INTERVAL: Duration = Duration::from_millis(900);

/// What a node can say and do that is no matter of its hubs.
pub(crate) trait NodeControl: Send + Sync + 'static {
    /// A word for the phase of the process.
    fn phase(&self) -> &'static str;

    fn handlers(&self) -> Vec<HandlerReport>;

    /// Begins the drain, unless it has begun.
    fn drain(&self);
}

/// Answers for a node.
pub(crate) struct Inspector {
    hubs: Hubs,
    follows: Follows,
    control: Box<dyn NodeControl>,
    started: Instant,
    /// The counts before, and the last ones. A rate is taken from the first to now.
    samples: Mutex<[Sample; 2]>,
    census: tokio::sync::Mutex<Option<(Instant, u64, u64)>>,
}

/// What had been counted at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    messages_in: u64,
    frames_out: u64,
}

impl Inspector {
    pub(crate) fn new(hubs: Hubs, control: impl NodeControl, follow: FollowSettings) -> Self {
        let started = Instant::now();
        let begin = Sample {
            at: started,
            messages_in: 0,
            frames_out: 0,
        };
        Self {
            hubs,
            follows: Follows::new(follow),
            control: Box::new(control),
            started,
            samples: Mutex::new([begin; 2]),
            census: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.hubs.cluster()
    }

    /// The hub of a namespace; `None` if it does not exist any more.
    pub(crate) fn hub(&self, namespace: &str) -> Option<HubHandle> {
        let hub = self.hubs.get(&namespace.parse().ok()?)?;
        Some(hub.handle().clone())
    }

    pub(crate) fn hubs(&self) -> &Hubs {
        &self.hubs
    }

    /// Those who follow clients of this node.
    pub(crate) fn follows(&self) -> &Follows {
        &self.follows
    }

    /// What happens to a client at this node.
    pub(super) async fn follow(&self, query: FollowQuery) -> FollowPart {
        self.follows.part(query, &self.hubs).await
    }

    /// The address by which other nodes, and operators, know the node.
    pub(crate) fn address(&self) -> &str {
        self.cluster().address().unwrap_or(SINGLE_NODE)
    }

    /// Begins the drain of this node.
    pub(crate) fn drain(&self) {
        self.control.drain();
    }

    /// Answers a request to this node.
    pub(crate) async fn answer(&self, request: &[u8]) -> Result<Bytes, RequestError> {
        let question = decode(request).ok_or_else(RequestError::unsupported)?;
        Ok(match question {
            Question::Node => encode(&self.report().await),
            Question::Connections(mut query) => {
                query.limit = query.limit.min(MAX_LIMIT);
                let hubs = self.hubs.open_hubs();
                encode(&connections::page(&hubs, &query, self.address()).await)
            }
            Question::Groups { hub } => {
                let mut hubs = self.hubs.open_hubs();
                hubs.retain(|open| hub.as_deref().is_none_or(|hub| open.name().as_str() == hub));
                encode(&Groups::of(&hubs).await)
            }
            Question::Handlers => encode(&self.control.handlers()),
            Question::Refusals => encode(&self.hubs.refusals().all()),
            Question::Follow(query) => encode(&self.follow(query).await),
            Question::Drain { by, from } => {
                tracing::info!(
                    from = from.map(display),
                    %by,
                    "an operator drains this node by the admin API of another node"
                );
                self.drain();
                encode(&())
            }
        })
    }

    /// Answers a request about a connection of this node.
    pub(crate) fn describe(&self, connection: &Connection) -> Bytes {
        encode(&ConnectionReport::new(connection, self.address()))
    }

    async fn report(&self) -> NodeReport {
        let (users, groups) = self.census().await;
        let hub = self.cluster().hub();
        let stats = hub.stats();
        let (messages_in_per_second, messages_out_per_second) = self.rates(&stats);
        let cluster = self.cluster().stats();
        let is_in_cluster = self.cluster().address().is_some();
        NodeReport {
            address: self.address().to_owned(),
            is_self: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.started.elapsed().as_secs_f64(),
            phase: self.control.phase().to_owned(),
            connections: stats.connections as u64,
            users,
            groups,
            messages_in_per_second,
            messages_out_per_second,
            outbox_bytes: stats.waiting_bytes as u64,
            largest_outbox: hub.largest_outbox() as u64,
            queue_depth: stats.queued as u64,
            registry: is_in_cluster.then(|| up_or_down(cluster.registry_available)),
            links: cluster.peers.iter().map(link).collect(),
        }
    }

    /// Messages and frames a second, since the last answer but one that is old enough.
    fn rates(&self, stats: &HubStats) -> (f64, f64) {
        let now = Sample {
            at: Instant::now(),
            messages_in: stats.traffic.messages_in,
            frames_out: stats.traffic.frames_out,
        };
        let mut samples = self.samples.lock();
        if now.at - samples[1].at >= MIN_INTERVAL {
            *samples = [samples[1], now];
        }
        let before = samples[0];
        drop(samples);
        let seconds = (now.at - before.at).max(MIN_INTERVAL).as_secs_f64();
        let rate = |now: u64, before: u64| {
            let count = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
            (f64::from(count) / seconds * 10.0).round() / 10.0
        };
        (
            rate(now.messages_in, before.messages_in),
            rate(now.frames_out, before.frames_out),
        )
    }

    /// How many users and groups there are, as of a few seconds ago.
    async fn census(&self) -> (u64, u64) {
        // Whoever asks meanwhile gets the same.
        let mut last = self.census.lock().await;
        if let Some((at, users, groups)) = *last
            && at.elapsed() < CENSUS_AGE
        {
            return (users, groups);
        }
        let (mut users, mut groups) = (0, 0);
        for hub in self.hubs.open_hubs() {
            let census = Census::of(&hub).await;
            users += census.users.len() as u64;
            groups += census.groups.len() as u64;
        }
        *last = Some((Instant::now(), users, groups));
        (users, groups)
    }
}

fn link(peer: &PeerStatus) -> LinkReport {
    let round_trip = peer.round_trip.map(|time| time.as_secs_f64() * 1000.0);
    LinkReport {
        address: peer.address.to_string(),
        state: up_or_down(peer.up),
        queued_bytes: peer.queued_bytes as u64,
        round_trip_ms: round_trip.map(|time| (time * 100.0).round() / 100.0),
    }
}
