//! Registration of a new connection: its names, its place in the hub, its id in the cluster.
//!
//! Owns the translation of what can fail into refusals. Must not know the HTTP request. Invariant: a
//! connection is refused before its admission or not at all, so that nothing is reported as delivered to a
//! client that gets no 101.

use http::StatusCode;
use tieline_registry::id;
use tokio::time::Instant;

#[cfg(feature = "cluster")]
use super::refusal::DRAINING;
use super::refusal::{Refusal, unavailable};
use crate::{
    close::CloseReason,
    config::Config,
    handler::Handler,
    hub::{
        ConnectionGuard, ConnectionInfo, ConnectionOptions, DialectId, Hub, Namespace,
        RegisterError,
    },
    node::Node,
};
#[cfg(feature = "cluster")]
use crate::{
    cluster::Cluster,
    config::Duplicate,
    hub::{Claimant, Superseded},
    registrar::ClaimDecision,
};

#[cfg(feature = "cluster")]
const NO_REGISTRY: &str = "the registry does not respond; reconnect\n";

/// Checks the names that the application chose, and makes them keys of their namespace.
pub(super) fn with_keys(
    mut info: ConnectionInfo,
    namespace: &str,
    config: &Config,
) -> Result<ConnectionInfo, Refusal> {
    let bad_request = |body: String| Refusal::new(StatusCode::BAD_REQUEST, body);
    let names = Namespace::new(namespace);
    let names = names.map_err(|e| bad_request(format!("namespace: {e}\n")))?;
    if info.id.namespace() != namespace {
        let id = info.id.in_namespace(namespace);
        info.id = id.map_err(|e| bad_request(format!("id: {e}\n")))?;
    }
    if let Some(user) = &mut info.user {
        id::check(user).map_err(|e| bad_request(format!("user: {e}\n")))?;
        *user = names.shared_key(user);
    }
    for group in &mut info.groups {
        id::check(group).map_err(|e| bad_request(format!("group: {e}\n")))?;
        *group = names.shared_key(group);
    }
    let (count, limit) = (info.groups.len(), config.groups_per_connection);
    if count > limit {
        return Err(bad_request(format!(
            "too many groups: {count}; the limit is {limit}\n"
        )));
    }
    Ok(info)
}

/// Checks that the hub has the dialect that the application chose.
pub(super) fn check_dialect(dialect: DialectId, hub: &Hub) -> Result<(), Refusal> {
    if hub.has_dialect(dialect) {
        return Ok(());
    }
    let body = "the hub was started without the dialect of this client\n";
    Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, body))
}

/// Registers the connection in the hub, and in a cluster its id in the registry. From here on it is
/// reachable: what was sent to it must not be taken back by a refusal.
pub(super) async fn admit<H: Handler>(
    node: &Node<H>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    arrived_at: Instant,
) -> Result<ConnectionGuard, Refusal> {
    let guard = register(node, info, options, arrived_at).await?;
    if node.is_draining() {
        // The drain began meanwhile, and may not have seen this connection.
        let conn = guard.connection().inner();
        node.hub().close_connection(conn, CloseReason::Drain);
    }
    Ok(guard)
}

#[cfg(feature = "cluster")]
async fn register<H: Handler>(
    node: &Node<H>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    arrived_at: Instant,
) -> Result<ConnectionGuard, Refusal> {
    match node.cluster().filter(|cluster| cluster.has_registrar()) {
        Some(cluster) => {
            let claimant = node.hub().register_claimant(info, options);
            let claimant = claimant.map_err(register_error)?;
            claim(cluster, &claimant, arrived_at).await?;
            if node.is_draining() {
                return Err(unavailable(DRAINING));
            }
            let exclusive = is_exclusive(node.hub());
            claimant.admit().map_err(|Superseded| taken(exclusive))
        }
        None => node.hub().register(info, options).map_err(register_error),
    }
}

/// Without a cluster there is no registry.
#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "as with a cluster")]
async fn register<H: Handler>(
    node: &Node<H>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    _: Instant,
) -> Result<ConnectionGuard, Refusal> {
    node.hub().register(info, options).map_err(register_error)
}

/// Claims the id in the cluster's registry, and waits a moment for the verdict. If none comes, the
/// connection may be admitted, unless its id has to be exclusive: clients must be able to connect while the
/// registry is unreachable, and the claim is repeated in the background.
#[cfg(feature = "cluster")]
async fn claim(cluster: &Cluster, claimant: &Claimant, arrived_at: Instant) -> Result<(), Refusal> {
    let conn = claimant.inner();
    let exclusive = is_exclusive(cluster.hub());
    if exclusive && !cluster.is_registered() {
        return Err(unavailable(NO_REGISTRY));
    }
    match cluster.claim(conn, arrived_at, exclusive).await {
        ClaimDecision::Granted => Ok(()),
        ClaimDecision::Undecided if !exclusive => Ok(()),
        ClaimDecision::Undecided => Err(unavailable(NO_REGISTRY)),
        ClaimDecision::Taken => Err(taken(exclusive)),
        ClaimDecision::Conflict => Err(unavailable("another process holds this node's address\n")),
    }
}

#[cfg(feature = "cluster")]
fn is_exclusive(hub: &Hub) -> bool {
    hub.config().duplicate == Duplicate::Reject
}

#[cfg(feature = "cluster")]
fn taken(exclusive: bool) -> Refusal {
    if exclusive {
        register_error(RegisterError::Duplicate)
    } else {
        unavailable("a newer connection has this client id; reconnect\n")
    }
}

fn register_error(error: RegisterError) -> Refusal {
    match error {
        RegisterError::Duplicate => Refusal::new(StatusCode::CONFLICT, format!("{error}\n")),
        RegisterError::Full => unavailable(&format!("{error}; reconnect\n")),
    }
}
