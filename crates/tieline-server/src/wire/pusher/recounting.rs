//! Has channels counted again when a node has gone with its subscribers, of whom nobody else says that they are gone,
//! or answers again after a count without it.
//!
//! Owns when that is, and the pace. Must not know how a channel is counted. Invariants: a channel that has subscribers
//! here is counted after each node that goes; one that was counted here without a node that did not answer is counted
//! with it; no more than a slice of the channels is begun at a time, however many there are.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use tieline::PeerStatus;
use tokio::time::sleep;
use uuid::Uuid;

use super::{channel::Channel, occupant::is_counted, service::Pusher};

/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_secs(1);

/// Channels that are counted again between two pauses: a thousand a second.
const SLICE: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Nodes that have gone, and are known if they come back.
const MAX_GONE: usize = 64;

/// Which nodes there are.
#[derive(Debug, Default)]
struct Nodes {
    here: BTreeSet<Uuid>,
    /// One that was paused for longer than its lease comes back with its subscribers.
    gone: VecDeque<Uuid>,
    /// How many links have ended: one may have come and gone between two looks.
    links_ended: u64,
}

impl Nodes {
    /// Whether one has gone, or one that had gone is back.
    fn look(&mut self, now: BTreeSet<Uuid>, links_ended: u64) -> bool {
        let left = self.here.difference(&now).copied();
        let left: Vec<_> = left.collect();
        let known = self.gone.len();
        self.gone.retain(|node| !now.contains(node));
        let is_back = self.gone.len() < known;
        self.gone.extend(&left);
        let over = self.gone.len().saturating_sub(MAX_GONE);
        self.gone.drain(..over);
        self.here = now;
        let has_lost = std::mem::replace(&mut self.links_ended, links_ended) != links_ended;
        is_back || has_lost || !left.is_empty()
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
    let mut nodes = Nodes::default();
    loop {
        sleep(LOOK).await;
        let Some(pusher) = pusher.upgrade() else {
            return;
        };
        let stats = pusher.hubs.cluster().stats();
        if nodes.look(processes(&stats.peers), stats.links_ended) {
            count_again(&pusher).await;
        }
        let down = stats.peers.into_iter().filter(|peer| !peer.up);
        let down: Vec<_> = down.map(|peer| peer.address).collect();
        for slice in pusher.counting.owed.take(&down).chunks(SLICE) {
            for channel in slice {
                pusher.count(channel);
            }
            sleep(PAUSE).await;
        }
    }
}

fn processes(peers: &[PeerStatus]) -> BTreeSet<Uuid> {
    peers.iter().filter_map(|peer| peer.process).collect()
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
            "a node has gone or is back: counting subscribers again"
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

    #[test]
    fn a_node_that_goes_or_comes_back_is_noticed_and_a_new_one_is_not() {
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut nodes = Nodes::default();
        assert!(!nodes.look([one].into(), 0));
        assert!(!nodes.look([one, other].into(), 0));
        assert!(nodes.look([other].into(), 1));
        assert!(!nodes.look([other].into(), 1));
        assert!(nodes.look([one, other].into(), 1));
        assert!(!nodes.look([one, other].into(), 1));
        // Another process in its place.
        assert!(nodes.look([one, Uuid::from_u128(3)].into(), 2));
        // One that has come and gone between two looks.
        assert!(nodes.look([one, Uuid::from_u128(3)].into(), 3));
        assert!(!nodes.look([one, Uuid::from_u128(3)].into(), 3));
        for node in 10..1000 {
            nodes.look([Uuid::from_u128(node)].into(), 3);
        }
        assert!(nodes.gone.len() <= MAX_GONE);
    }
}
