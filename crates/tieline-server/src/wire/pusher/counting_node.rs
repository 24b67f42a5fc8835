//! Which node counts the subscribers of a channel, and what it is told.
//!
//! Owns that all nodes which know each other choose the same. Must not know when it is told. With one node for each
//! channel, its pauses hold for the cluster, and no older number is told after a newer one.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tieline::Cluster;

/// What the node is told. Nodes of several versions do so: only add to it what others may leave out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ChannelChanged {
    /// The id of the app whose client has come or gone.
    pub(super) app: Box<str>,
    pub(super) channel: Box<str>,
}

impl ChannelChanged {
    pub(super) fn new(app: &str, channel: &str) -> Self {
        Self {
            app: app.into(),
            channel: channel.into(),
        }
    }

    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts always serialize")
    }

    /// `None` if it says something else.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

/// The node that counts a channel; `None` if it is this one. `cluster` is that of the channel's hub.
pub(super) fn counting_node(cluster: &Cluster, channel: &str) -> Option<Arc<str>> {
    let own = cluster.address()?;
    let peers = cluster.peers().into_iter();
    let peers = peers.filter(|peer| peer.up && !peer.legacy);
    let peers = peers.map(|peer| peer.address);
    first(peers, channel).filter(|peer| weight(peer, channel) > weight(own, channel))
}

/// Of several nodes, the one with the greatest weight: who comes or goes changes it for no channel but its own.
fn first(nodes: impl Iterator<Item = Arc<str>>, channel: &str) -> Option<Arc<str>> {
    nodes.max_by_key(|node| weight(node, channel))
}

/// The same on every node, of every version.
fn weight(node: &str, channel: &str) -> [u8; 8] {
    let hash = digest(&SHA256, format!("{node}\0{channel}").as_bytes());
    let mut weight = [0; 8];
    weight.copy_from_slice(&hash.as_ref()[..8]);
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(nodes: &[&str]) -> Vec<Arc<str>> {
        let channels = (0..1000).map(|number| format!("channel-{number}"));
        let nodes = || nodes.iter().map(|node| Arc::from(*node));
        let chosen = channels.map(|channel| first(nodes(), &channel).unwrap());
        chosen.collect()
    }

    #[test]
    fn all_choose_the_same_and_share_the_channels() {
        let three = chosen(&["a:1", "b:1", "c:1"]);
        assert_eq!(three, chosen(&["c:1", "a:1", "b:1"]));
        for node in ["a:1", "b:1", "c:1"] {
            let share = three.iter().filter(|one| &***one == node).count();
            assert!((250..420).contains(&share), "{node}: {share}");
        }
        // Without a node, only its channels are another's.
        for (before, after) in three.iter().zip(chosen(&["a:1", "b:1"])) {
            assert!(*before == after || &**before == "c:1");
        }
    }

    #[test]
    fn what_a_node_is_told_is_the_same_after_the_way() {
        let (app, channel) = ("3".into(), "private-ü\"".into());
        let changed = ChannelChanged { app, channel };
        assert_eq!(ChannelChanged::parse(&changed.text()), Some(changed));
        for other in [&b""[..], b"{}", b"\xff", b"{\"app\":3,\"channel\":\"a\"}"] {
            assert_eq!(ChannelChanged::parse(other), None);
        }
    }
}
