//! Whether this node offers itself as the dispatcher.
//!
//! Owns that nobody reads the changes of rosters while no webhook wants them. Must not know what they mean.

use std::time::Duration;

use tieline::{Cluster, Dispatching, Presence};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    dispatcher::WebhookDispatcher,
    event::{OF_CHANNELS, OF_MEMBERS},
    live::Webhooks,
};

/// Webhooks whose node offers itself.
pub(crate) struct Posting {
    webhooks: Webhooks,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Posting {
    /// `lease` is that of the cluster's nodes.
    pub(crate) fn start(webhooks: Webhooks, cluster: Cluster, lease: Duration) -> Self {
        let stop = CancellationToken::new();
        let dispatching = dispatch(webhooks.clone(), cluster, lease, stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(dispatching));
        Self {
            webhooks,
            stop,
            task,
        }
    }

    /// Waits until all was sent, but no longer than this, and hands the rest over.
    pub(crate) async fn end(self, limit: Duration) {
        if !self.webhooks.drain(limit).await {
            tracing::warn!("stopped before all events were sent to webhooks");
        }
        self.stop.cancel();
        // An error would be that of a task which has panicked, and was reported.
        drop(self.task.await);
    }
}

/// Dispatches, or waits to take over, while any webhook wants events of rosters. Runs until `stop`, and then hands its
/// place over. `lease` is that of the cluster's nodes.
async fn dispatch(webhooks: Webhooks, cluster: Cluster, lease: Duration, stop: CancellationToken) {
    let mut reloads = webhooks.reloads();
    let mut dispatching: Option<(Presence, Dispatching)> = None;
    loop {
        let hubs = webhooks.hubs_wanting(&[OF_CHANNELS, OF_MEMBERS].concat());
        if hubs.is_empty() {
            hand_over(dispatching.take()).await;
        } else if dispatching.is_none() {
            dispatching = start(&webhooks, &cluster, lease);
        }
        tokio::select! {
            reloaded = reloads.changed() => {
                if reloaded.is_err() {
                    return;
                }
            }
            () = stop.cancelled() => return hand_over(dispatching).await,
        }
    }
}

/// Lets another node take the place at once, and not after the lease.
async fn hand_over(dispatching: Option<(Presence, Dispatching)>) {
    let Some((presence, dispatching)) = dispatching else {
        return;
    };
    drop(dispatching);
    if let Err(error) = presence.drain().await {
        tracing::debug!(%error, "another node dispatches once the lease is over");
    }
}

fn start(
    webhooks: &Webhooks,
    cluster: &Cluster,
    lease: Duration,
) -> Option<(Presence, Dispatching)> {
    let presence = Presence::new(cluster);
    let presence = presence.inspect_err(|error| {
        tracing::warn!(
            %error,
            "webhooks get no channel_occupied, channel_vacated, member_added and member_removed"
        );
    });
    let presence = presence.ok()?;
    let dispatcher = WebhookDispatcher::new(webhooks.clone(), presence.clone(), lease);
    let dispatching = presence.dispatch(dispatcher);
    Some((presence, dispatching))
}
