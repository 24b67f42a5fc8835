//! A node's way into its cluster.

use std::{sync::Arc, time::Duration};

use tieline::{Cluster, ClusterConfig, ClusterError, Hub, registry::Registry};

use crate::cli::{RegistryFlags, RegistryUrl, in_flags};

/// How long a registry may take to be there when the node starts, whatever its own deadlines.
const REGISTRY_START: Duration = Duration::from_secs(10);

/// Connects to the registry.
pub(super) async fn connect(
    url: &RegistryUrl,
    flags: &RegistryFlags,
) -> anyhow::Result<Arc<dyn Registry>> {
    let tls = flags.tls()?;
    let connecting = tieline::registry::connect_with(url.as_str(), &flags.prefix, &tls);
    match tokio::time::timeout(REGISTRY_START, connecting).await {
        Ok(Ok(registry)) => Ok(registry),
        Ok(Err(error)) => Err(unusable(url, &error.into())),
        Err(_) => {
            let late = anyhow::anyhow!("no answer within {} s", REGISTRY_START.as_secs());
            Err(unusable(url, &late))
        }
    }
}

/// Starts the node: in the cluster of a registry, or alone.
pub(super) async fn start(
    hub: Hub,
    registry: Option<Arc<dyn Registry>>,
    config: ClusterConfig,
    url: Option<&RegistryUrl>,
) -> anyhow::Result<Cluster> {
    let Some(registry) = registry else {
        return Ok(Cluster::single_node(hub));
    };
    let cluster = Cluster::start(hub, registry, config).await;
    let cluster = cluster.map_err(|error| match (error, url) {
        (ClusterError::Registry(error), Some(url)) => unusable(url, &error.into()),
        (error, _) => in_flags(error),
    })?;
    warn_of(&cluster, url);
    Ok(cluster)
}

/// What an operator would otherwise wonder about later.
fn warn_of(cluster: &Cluster, url: Option<&RegistryUrl>) {
    if let Err(why) = cluster.readiness() {
        tracing::warn!("{why}; each node needs an address of its own, see --advertise");
    }
    let far = url.is_some_and(|url| !is_local(&url.to_string()));
    if let Some(address) = cluster.address().filter(|address| far && is_local(address)) {
        let hint = "other machines' nodes cannot reach this one, see --peers-listen";
        tracing::warn!(address, "{hint}");
    }
}

/// One line that says what failed and where, without the password.
fn unusable(url: &RegistryUrl, why: &anyhow::Error) -> anyhow::Error {
    let why = url.hide_in(&format!("{why:#}"));
    anyhow::anyhow!("cannot use the registry {url}, see --registry: {why}")
}

/// Whether an address or a URL names this machine to itself.
fn is_local(address: &str) -> bool {
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|name| address.contains(name))
}

#[cfg(test)]
mod tests {
    use tieline::{Config, registry::MemoryRegistry};

    use super::*;

    #[tokio::test]
    async fn a_peer_port_that_is_taken_is_named_with_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = ClusterConfig {
            listen: taken.local_addr().unwrap(),
            ..ClusterConfig::default()
        };
        let hub = Hub::new(Config::default()).unwrap();
        let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
        let error = start(hub, Some(registry), config.clone(), None).await;
        let said = format!("{:#}", error.unwrap_err());
        assert!(said.contains(&config.listen.to_string()), "{said}");
        assert!(said.contains("--peers-listen"), "{said}");
        assert!(said.contains("in use"), "{said}");
    }
}
