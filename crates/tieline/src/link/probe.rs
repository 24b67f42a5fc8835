//! Finds out which node answers at an address, without opening a link.
//!
//! Owns the timeout of the request, and the distinction between a Tieline node and another gRPC server. Must
//! not know the registry. Invariant: a probe ends no stream, because its hello has epoch 0.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Status, codegen::tokio_stream};
use uuid::Uuid;

use super::{
    config::LinkConfig,
    greeting::{self, GreetingError},
    proto::{self, link_client::LinkClient},
    transport::{Connection, DialError},
};

/// Timeout of a probe, from the dial to the peer's hello.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The node that answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    /// A Tieline node, with its process.
    Node(Uuid),
    /// A node of go-websocket, or another gRPC server.
    UnaryOnly,
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("{address} refused the connection: {why}")]
    Refused { address: String, why: String },
    #[error("{address} did not answer within a second")]
    Timeout { address: String },
}

/// Requests the hello of `host:port`.
pub(crate) async fn probe(address: &str, config: &LinkConfig) -> Result<ProbeResult, ProbeError> {
    let address = address.to_owned();
    match timeout(PROBE_TIMEOUT, request_hello(&address, config)).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(Failure::Dial(error))) => Err(ProbeError::Unreachable {
            address,
            why: error.to_string(),
        }),
        Ok(Err(Failure::Status(status))) => Err(ProbeError::Refused {
            address,
            why: status.message().to_owned(),
        }),
        Err(_) => Err(ProbeError::Timeout { address }),
    }
}

enum Failure {
    Dial(DialError),
    Status(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

async fn request_hello(address: &str, config: &LinkConfig) -> Result<ProbeResult, Failure> {
    let tasks = TaskTracker::new();
    let connection = Connection::dial(address, config, &tasks)
        .await
        .map_err(Failure::Dial)?;
    // Epoch 0 requests the hello only, and ends no stream of this process.
    let ours = config.hello(0);
    let request = Request::new(tokio_stream::once(proto::RequestBatch {
        hello: Some(ours.clone()),
        ..proto::RequestBatch::default()
    }));
    let mut client =
        LinkClient::with_origin(connection.requests.clone(), connection.origin.clone());
    let mut incoming = match client.exchange(request).await {
        Ok(response) => response.into_inner(),
        Err(status) if status.code() == Code::Unimplemented => return Ok(ProbeResult::UnaryOnly),
        Err(status) => return Err(status.into()),
    };
    let hello = incoming.message().await?.and_then(|first| first.hello);
    let hello = hello.ok_or_else(|| Status::from(GreetingError::Missing))?;
    let checked = greeting::check_answer(config, &hello.address, &ours, &hello);
    let (agreement, _) = checked.map_err(Status::from)?;
    Ok(ProbeResult::Node(agreement.process))
}
