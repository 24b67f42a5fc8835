//! The cluster's word on a new connection's id.

use tokio::time::Instant;

use super::Refusal;
use crate::{Handler, Node, hub::ConnectionGuard};

/// Claims the id in the cluster's registry, and waits a moment for the verdict. Where none comes the
/// connection is let in: a registry that is away must not keep clients away, and the claim goes on.
#[cfg(feature = "cluster")]
pub(super) async fn claim<H: Handler>(
    node: &Node<H>,
    guard: &ConnectionGuard,
    arrival: Instant,
) -> Result<(), Refusal> {
    use http::StatusCode;

    use super::unavailable;
    use crate::{Duplicate, registrar::ClaimDecision};

    let Some(cluster) = node.cluster() else {
        return Ok(());
    };
    let exclusive = node.hub().config().duplicate == Duplicate::Reject;
    if exclusive && !cluster.is_registered() {
        return Err(unavailable("the registry does not answer; connect again\n"));
    }
    let conn = guard.connection().inner();
    match cluster.claim(conn, arrival, exclusive).await {
        ClaimDecision::Granted => Ok(()),
        ClaimDecision::Undecided if !exclusive => Ok(()),
        ClaimDecision::Undecided => {
            Err(unavailable("the registry does not answer; connect again\n"))
        }
        ClaimDecision::Taken if exclusive => {
            let body = "the client id is connected already\n";
            Err(Refusal::new(StatusCode::CONFLICT, body))
        }
        ClaimDecision::Taken => Err(unavailable(
            "a newer connection has this client id; connect again\n",
        )),
        ClaimDecision::Conflict => Err(unavailable("another process holds this node's address\n")),
    }
}

/// A node alone has nobody to ask.
#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "as with a cluster")]
pub(super) async fn claim<H: Handler>(
    _: &Node<H>,
    _: &ConnectionGuard,
    _: Instant,
) -> Result<(), Refusal> {
    Ok(())
}
