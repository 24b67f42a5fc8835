//! Which webhooks the cluster knows already.
//!
//! Owns a mark in the registry for each of them. Must not know what a new one is told. Invariant: a webhook has its mark
//! while any node dispatches for it, and loses it some minutes later, whatever becomes of nodes.

use std::time::Duration;

use tieline::{Cluster, ValuesError};

use super::settings::WebhookSettings;

/// How long a mark stays that is not renewed: as long as no node may dispatch without a webhook being new again.
const TIME: Duration = Duration::from_mins(5);

/// Between two renewals.
pub(super) const RENEWAL: Duration = Duration::from_mins(1);

/// The marks of a cluster.
pub(super) struct Marks(Cluster);

impl Marks {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self(cluster)
    }

    pub(super) async fn has(&self, webhook: &WebhookSettings) -> Result<bool, ValuesError> {
        let mark = self.0.values()?.get(&name(webhook)).await?;
        Ok(mark.is_some())
    }

    pub(super) async fn put(&self, webhook: &WebhookSettings) -> Result<(), ValuesError> {
        self.0.values()?.put(&name(webhook), "told", TIME).await
    }
}

fn name(webhook: &WebhookSettings) -> String {
    format!("pusher webhook {}", webhook.digest())
}
