//! Whether this node offers itself as the dispatcher.
//!
//! Owns that nobody reads the changes of rosters while no webhook wants them. Must not know what they mean.

use std::time::Duration;

use tieline::{Cluster, Dispatching, Presence};

use super::{
    dispatcher::{OF_CHANNELS, OF_MEMBERS, WebhookDispatcher},
    live::Webhooks,
};

/// Dispatches, or waits to take over, while any webhook wants events of rosters. Runs until it is dropped. `lease` is
/// that of the cluster's nodes.
pub(crate) async fn dispatch(webhooks: Webhooks, cluster: Cluster, lease: Duration) {
    let mut reloads = webhooks.reloads();
    let mut dispatching: Option<Dispatching> = None;
    loop {
        let hubs = webhooks.hubs_wanting(&[OF_CHANNELS, OF_MEMBERS].concat());
        if hubs.is_empty() {
            dispatching = None;
        } else if dispatching.is_none() {
            dispatching = start(&webhooks, &cluster, lease);
        }
        if reloads.changed().await.is_err() {
            return;
        }
    }
}

fn start(webhooks: &Webhooks, cluster: &Cluster, lease: Duration) -> Option<Dispatching> {
    let presence = Presence::new(cluster);
    let presence = presence.inspect_err(|error| {
        tracing::warn!(
            %error,
            "webhooks get no channel_occupied, channel_vacated, member_added and member_removed"
        );
    });
    let presence = presence.ok()?;
    let dispatcher = WebhookDispatcher::new(webhooks.clone(), presence.clone(), lease);
    Some(presence.dispatch(dispatcher))
}
