//! Has channels counted again when a node has gone with its subscribers, of whom nobody else says that they are gone.
//!
//! Owns when that is, and the pace. Must not know how a channel is counted. Invariants: a channel that has subscribers
//! here is counted after each node that goes; no more than a slice of the channels is begun at a time, however many
//! there are.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use tieline::Cluster;
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
}

impl Nodes {
    /// Whether one has gone, or one that had gone is back.
    fn look(&mut self, now: BTreeSet<Uuid>) -> bool {
        let left = self.here.difference(&now).copied();
        let left: Vec<_> = left.collect();
        let known = self.gone.len();
        self.gone.retain(|node| !now.contains(node));
        let is_back = self.gone.len() < known;
        self.gone.extend(&left);
        let over = self.gone.len().saturating_sub(MAX_GONE);
        self.gone.drain(..over);
        self.here = now;
        is_back || !left.is_empty()
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
        if nodes.look(processes(pusher.hubs.cluster())) {
            count_again(&pusher).await;
        }
    }
}

fn processes(cluster: &Cluster) -> BTreeSet<Uuid> {
    let peers = cluster.peers().into_iter();
    peers.filter_map(|peer| peer.process).collect()
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
        assert!(!nodes.look([one].into()));
        assert!(!nodes.look([one, other].into()));
        assert!(nodes.look([other].into()));
        assert!(!nodes.look([other].into()));
        assert!(nodes.look([one, other].into()));
        assert!(!nodes.look([one, other].into()));
        // Another process in its place.
        assert!(nodes.look([one, Uuid::from_u128(3)].into()));
        for node in 10..1000 {
            nodes.look([Uuid::from_u128(node)].into());
        }
        assert!(nodes.gone.len() <= MAX_GONE);
    }
}
