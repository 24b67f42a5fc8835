//! Joins a node to a cluster.
//!
//! Owns the warnings about addresses that other nodes cannot reach. Must not know clients or routes. Invariant: an error of the registry names it without
//! its password.

use std::sync::Arc;

use tieline::{Cluster, ClusterConfig, ClusterError, Hub, registry::Registry};

use crate::config::registry_url::RegistryUrl;

/// Starts the node in the cluster of a registry. `url` is the registry's, unless it is in memory.
pub(super) async fn start(
    hub: Hub,
    registry: Arc<dyn Registry>,
    config: ClusterConfig,
    url: Option<&RegistryUrl>,
) -> anyhow::Result<Cluster> {
    let cluster = Cluster::start(hub, registry, config).await;
    let cluster = cluster.map_err(|error| match (error, url) {
        (ClusterError::Registry(error), Some(url)) => url.error(&error.into()),
        (error, _) => error.into(),
    })?;
    warn_if_unreachable(&cluster, url);
    Ok(cluster)
}

/// Warns of what would otherwise show only when messages to this node fail.
fn warn_if_unreachable(cluster: &Cluster, url: Option<&RegistryUrl>) {
    if let Err(why) = cluster.readiness() {
        tracing::warn!(%why, "this node is not ready; give each node a different address with --advertise");
    }
    let is_remote = url.is_some_and(|url| !is_local(&url.to_string()));
    let local = cluster.address().filter(|address| is_local(address));
    if let Some(address) = local.filter(|_| is_remote) {
        tracing::warn!(
            address,
            "nodes on other machines cannot reach this one; set --peers-listen or --advertise"
        );
    }
}

/// Whether an address or a URL names this machine to itself.
fn is_local(address: &str) -> bool {
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|name| address.contains(name))
}
