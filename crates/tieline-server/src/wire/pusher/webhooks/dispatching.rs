//! Whether this node offers itself as the dispatcher.
//!
//! Owns that nobody reads the changes of rosters while no webhook wants them. Must not know what they mean.

use std::time::Duration;

use tieline::{Cluster, Dispatching, Presence};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    dispatcher::{OF_ROSTERS, WebhookDispatcher},
    live::Webhooks,
    marks::Marks,
};

/// The two steps of the end.
#[derive(Clone, Default)]
struct Stops {
    /// No more changes are taken.
    taking: CancellationToken,
    all: CancellationToken,
}

/// Webhooks whose node offers itself.
pub(crate) struct Posting {
    webhooks: Webhooks,
    stops: Stops,
    task: AbortOnDropHandle<()>,
}

impl Posting {
    /// `lease` is that of the cluster's nodes.
    pub(crate) fn start(webhooks: Webhooks, cluster: Cluster, lease: Duration) -> Self {
        let stops = Stops::default();
        let dispatching = dispatch(webhooks.clone(), cluster, lease, stops.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(dispatching));
        Self {
            webhooks,
            stops,
            task,
        }
    }

    /// Takes no more changes, waits until all was sent, but no longer than this, and hands the rest over. A busy cluster
    /// would fill the queues as fast as they are sent.
    pub(crate) async fn end(self, limit: Duration) {
        self.stops.taking.cancel();
        if !self.webhooks.drain(limit).await {
            tracing::warn!("stopped before all events were sent to webhooks");
        }
        self.stops.all.cancel();
        // An error would be that of a task which has panicked, and was reported.
        drop(self.task.await);
    }
}

/// Dispatches, or waits to take over, while any webhook wants events of rosters, until it stops. In the end, it hands
/// its place over. `lease` is that of the cluster's nodes.
async fn dispatch(webhooks: Webhooks, cluster: Cluster, lease: Duration, stops: Stops) {
    let mut reloads = webhooks.reloads();
    let mut dispatching: Option<(Presence, Dispatching)> = None;
    loop {
        if webhooks.wanting(&OF_ROSTERS.concat()).is_empty() {
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
            () = stops.taking.cancelled() => {
                if let Some((_, dispatching)) = &dispatching {
                    dispatching.stop_taking();
                }
                stops.all.cancelled().await;
                return hand_over(dispatching).await;
            }
        }
    }
}

/// Lets another node take the place at once, and not after the lease.
async fn hand_over(dispatching: Option<(Presence, Dispatching)>) {
    let Some((presence, dispatching)) = dispatching else {
        return;
    };
    dispatching.end().await;
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
    let marks = Marks::new(cluster.clone());
    let dispatcher = WebhookDispatcher::new(webhooks.clone(), presence.clone(), marks, lease);
    let dispatching = presence.dispatch(dispatcher);
    Some((presence, dispatching))
}
