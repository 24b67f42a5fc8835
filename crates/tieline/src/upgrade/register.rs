//! Registration of a new connection: its names, its place in the hub, its id in the cluster.
//!
//! Owns the translation of what can fail into refusals. Must not know the HTTP request.

use http::StatusCode;
use tieline_registry::id;
use tokio::time::Instant;

use super::decision::{Refusal, unavailable};
use crate::{
    config::Config,
    handler::Handler,
    hub::{ConnectionGuard, ConnectionInfo, ConnectionOptions, Hub, RegisterError},
    node::Node,
};

/// Checks the names that the application chose.
pub(super) fn check_info(info: &ConnectionInfo, config: &Config) -> Result<(), Refusal> {
    let bad_request = |body: String| Refusal::new(StatusCode::BAD_REQUEST, body);
    if let Some(user) = &info.user {
        id::check(user).map_err(|e| bad_request(format!("user: {e}\n")))?;
    }
    for group in &info.groups {
        id::check(group).map_err(|e| bad_request(format!("group: {e}\n")))?;
    }
    let (count, limit) = (info.groups.len(), config.groups_per_connection);
    if count > limit {
        return Err(bad_request(format!(
            "too many groups: {count}; the limit is {limit}\n"
        )));
    }
    Ok(())
}

/// Registers the connection in the hub.
pub(super) fn register(
    hub: &Hub,
    info: ConnectionInfo,
    options: ConnectionOptions,
) -> Result<ConnectionGuard, Refusal> {
    hub.register(info, options).map_err(|error| match error {
        RegisterError::Duplicate => Refusal::new(StatusCode::CONFLICT, format!("{error}\n")),
        RegisterError::Full => unavailable(&format!("{error}; reconnect\n")),
    })
}

/// Claims the id in the cluster's registry, and waits a moment for the verdict. If none comes, the
/// connection is accepted, unless its id has to be exclusive: clients must be able to connect while the
/// registry is unreachable, and the claim is repeated in the background.
#[cfg(feature = "cluster")]
pub(super) async fn claim<H: Handler>(
    node: &Node<H>,
    guard: &ConnectionGuard,
    arrived_at: Instant,
) -> Result<(), Refusal> {
    use crate::{config::Duplicate, registrar::ClaimDecision};

    const NO_REGISTRY: &str = "the registry does not respond; reconnect\n";
    let Some(cluster) = node.cluster() else {
        return Ok(());
    };
    let exclusive = node.hub().config().duplicate == Duplicate::Reject;
    if exclusive && !cluster.is_registered() {
        return Err(unavailable(NO_REGISTRY));
    }
    let conn = guard.connection().inner();
    match cluster.claim(conn, arrived_at, exclusive).await {
        ClaimDecision::Granted => Ok(()),
        ClaimDecision::Undecided if !exclusive => Ok(()),
        ClaimDecision::Undecided => Err(unavailable(NO_REGISTRY)),
        ClaimDecision::Taken if exclusive => {
            let body = format!("{}\n", RegisterError::Duplicate);
            Err(Refusal::new(StatusCode::CONFLICT, body))
        }
        ClaimDecision::Taken => Err(unavailable(
            "a newer connection has this client id; reconnect\n",
        )),
        ClaimDecision::Conflict => Err(unavailable("another process holds this node's address\n")),
    }
}

/// Without a cluster there is no registry.
#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "as with a cluster")]
pub(super) async fn claim<H: Handler>(
    _: &Node<H>,
    _: &ConnectionGuard,
    _: Instant,
) -> Result<(), Refusal> {
    Ok(())
}
