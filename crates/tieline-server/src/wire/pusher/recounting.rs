//! Has channels counted again when a node has gone, since nobody else says that its subscribers are gone, and when a
//! node that a count has missed answers again.
//!
//! Owns when that is, and the pace. Must not know how a channel is counted. Invariants: a channel that has subscribers
//! here is counted after each node that goes; one that was counted here without a node is counted again once that node
//! answers, as far as [`OwedCounts`](super::owed_counts::OwedCounts) keeps it; no more than a slice of the channels is
//! begun at a time, however many there are.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use tieline::PeerStatus;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    channel::Channel, counting_node::ChannelChanged, occupant::is_counted, service::Pusher,
};

/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_secs(1);

/// The least time between two counts of all channels, however many nodes go or return and links flap meanwhile.
const LEAST: Duration = Duration::from_secs(5);

/// Channels that are counted again between two pauses: a thousand a second.
const SLICE: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Channels that are begun after a look because their counts are owed. The others wait for the next look.
const MOST_OWED: usize = 1000;

/// Nodes that have gone, and are known if they come back.
const MAX_GONE: usize = 64;

/// Which nodes there are.
#[derive(Debug)]
struct Nodes {
    here: BTreeSet<Uuid>,
    /// One that was paused for longer than its lease comes back with its subscribers.
    gone: VecDeque<Uuid>,
    /// How many links have ended.
    links_ended: u64,
    /// Whether there is a reason to count the channels.
    is_owed: bool,
    /// Whether one that had gone is back since then.
    returned: bool,
    not_before: Instant,
}

impl Nodes {
    fn new(now: Instant) -> Self {
        Self {
            here: BTreeSet::new(),
            gone: VecDeque::new(),
            links_ended: 0,
            is_owed: false,
            returned: false,
            not_before: now,
        }
    }

    /// Whether to count all channels: one has gone, or one that had gone is back, or links have ended, perhaps to one
    /// that came and went between two looks.
    fn look(&mut self, here: BTreeSet<Uuid>, links_ended: u64, now: Instant) -> bool {
        let left = self.here.difference(&here).copied();
        let left: Vec<_> = left.collect();
        let known = self.gone.len();
        self.gone.retain(|node| !here.contains(node));
        let is_back = self.gone.len() < known;
        self.gone.extend(&left);
        let over = self.gone.len().saturating_sub(MAX_GONE);
        self.gone.drain(..over);
        self.here = here;
        let has_lost = std::mem::replace(&mut self.links_ended, links_ended) != links_ended;
        self.is_owed |= is_back || has_lost || !left.is_empty();
        self.returned |= is_back;
        let is_due = self.is_owed && now >= self.not_before;
        if is_due {
            // The node that counts may learn later that one is back, and count without it until then.
            self.is_owed = std::mem::take(&mut self.returned);
            self.not_before = now + LEAST;
        }
        is_due
    }
}

/// Looks until the wire ends.
pub(super) fn start(pusher: &Arc<Pusher>) {
    // A node by itself has no others.
    if pusher.hubs.cluster().address().is_some() {
        tokio::spawn(run(Arc::downgrade(pusher)));
    }
}

async fn run(pusher: Weak<Pusher>) {
    let mut nodes = Nodes::new(Instant::now());
    loop {
        sleep(LOOK).await;
        let Some(pusher) = pusher.upgrade() else {
            return;
        };
        let stats = pusher.hubs.cluster().stats();
        if nodes.look(processes(&stats.peers), stats.links_ended, Instant::now()) {
            count_again(&pusher).await;
        }
        count_owed(&pusher).await;
    }
}

fn processes(peers: &[PeerStatus]) -> BTreeSet<Uuid> {
    peers.iter().filter_map(|peer| peer.process).collect()
}

/// Has the channels counted whose last count missed a node that answers now.
async fn count_owed(pusher: &Pusher) {
    let peers = pusher.hubs.cluster().peers().into_iter();
    let nodes = peers.map(|peer| (peer.address, peer.up)).collect();
    let owed = &pusher.counting.owed;
    let due = owed.due(&nodes, MOST_OWED, Instant::now());
    for slice in due.chunks(SLICE) {
        for ChannelChanged { app, channel } in slice {
            if let Some((app, hub)) = pusher.counted(app) {
                pusher.counting.changed(&app, &hub, channel);
            }
        }
        sleep(PAUSE).await;
    }
}

/// Has all channels counted that have subscribers here and are counted at all.
async fn count_again(pusher: &Pusher) {
    let apps = pusher.apps.load();
    for app in apps.counted() {
        let Some(hub) = app.hub(&pusher.hubs) else {
            continue;
        };
        let hub = hub.handle();
        let channels = hub.cluster().hub().groups();
        tracing::debug!(
            app = app.id,
            channels = channels.len(),
            "a node has gone or is back, or a link has ended: counting subscribers again"
        );
        for slice in channels.chunks(SLICE) {
            let channels = slice.iter().filter(|name| {
                let channel = Channel::parse(name);
                channel.is_ok_and(|channel| is_counted(channel.kind()))
            });
            for channel in channels {
                pusher.counting.changed(app, hub, channel);
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_node_that_goes_or_comes_back_is_noticed_and_a_new_one_is_not() {
        let mut now = Instant::now();
        let mut nodes = Nodes::new(now);
        let mut look = |here: &[Uuid]| {
            now += LEAST;
            nodes.look(here.iter().copied().collect(), 0, now)
        };
        assert!(!look(&[ONE]));
        assert!(!look(&[ONE, OTHER]));
        assert!(look(&[OTHER]));
        assert!(!look(&[OTHER]));
        assert!(look(&[ONE, OTHER]));
        // Once more: others may have learned that later.
        assert!(look(&[ONE, OTHER]));
        assert!(!look(&[ONE, OTHER]));
        // Another process in its place.
        assert!(look(&[ONE, Uuid::from_u128(3)]));
        for node in 10..1000 {
            look(&[Uuid::from_u128(node)]);
        }
        assert!(nodes.gone.len() <= MAX_GONE);
    }

    #[test]
    fn a_node_that_comes_and_goes_between_two_looks_is_noticed_and_flapping_costs_little() {
        let start = Instant::now();
        let mut nodes = Nodes::new(start);
        let mut look = |here: &[Uuid], links_ended, second| {
            let now = start + Duration::from_secs(second);
            nodes.look(here.iter().copied().collect(), links_ended, now)
        };
        assert!(!look(&[ONE], 0, 1));
        assert!(look(&[ONE], 1, 2));
        assert!(!look(&[ONE], 1, 3));
        // Not before its time, but then.
        assert!(!look(&[ONE], 2, 4));
        assert!(!look(&[], 2, 6));
        assert!(look(&[], 2, 7));
        assert!(!look(&[ONE], 2, 8));
        assert!(look(&[ONE], 2, 12));
        assert!(look(&[ONE], 2, 17));
        assert!(!look(&[ONE], 2, 60));
    }
}
