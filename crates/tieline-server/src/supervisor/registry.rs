//! Connects to a registry, without showing its password.
//!
//! Owns the time limit for connecting. Must not know any registry: the library selects one by the scheme of
//! the URL. Invariant: no error contains the password.

use std::{sync::Arc, time::Duration};

use tieline::registry::{Registry, RegistryTls};

use super::measured_registry::MeasuredRegistry;
use crate::config::registry_url::RegistryUrl;

/// How long connecting may take when a node starts, whatever the deadlines of the registry's client.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the registry, and which cluster in it.
pub(crate) struct RegistrySettings {
    pub(crate) url: RegistryUrl,
    /// The name of the cluster.
    pub(crate) prefix: String,
    pub(crate) tls: RegistryTls,
}

impl RegistrySettings {
    pub(super) async fn connect(&self) -> anyhow::Result<Arc<dyn Registry>> {
        let connecting =
            tieline::registry::connect_with(self.url.expose(), &self.prefix, &self.tls);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(registry)) => Ok(Arc::new(MeasuredRegistry::new(registry))),
            Ok(Err(error)) => Err(self.url.error(&error.into())),
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                Err(self
                    .url
                    .error(&anyhow::anyhow!("no response within {seconds} s")))
            }
        }
    }
}
