//! Asks whom an address leads to, without opening a link.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Status, codegen::tokio_stream};
use uuid::Uuid;

use super::{
    config::LinkConfig,
    proto::{self, HelloError, link_client::LinkClient},
    transport::{Connection, DialError},
};

/// From the dial to the answer.
const WITHIN: Duration = Duration::from_secs(1);

/// Who answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probed {
    /// A node of this kind, by its process.
    Node(Uuid),
    /// A node of go-websocket, or some other gRPC server.
    Foreign,
}

/// Why an address leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("{address} refuses: {why}")]
    Refused { address: String, why: String },
    #[error("{address} does not answer within a second")]
    Silent { address: String },
}

/// Asks `host:port` for its hello.
pub(crate) async fn probe(address: &str, config: &LinkConfig) -> Result<Probed, ProbeError> {
    let address = address.to_owned();
    match timeout(WITHIN, ask(&address, config)).await {
        Ok(Ok(probed)) => Ok(probed),
        Ok(Err(Failed::Dial(error))) => Err(ProbeError::Unreachable {
            address,
            why: error.to_string(),
        }),
        Ok(Err(Failed::Status(status))) => Err(ProbeError::Refused {
            address,
            why: status.message().to_owned(),
        }),
        Err(_) => Err(ProbeError::Silent { address }),
    }
}

enum Failed {
    Dial(DialError),
    Status(Status),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

async fn ask(address: &str, config: &LinkConfig) -> Result<Probed, Failed> {
    let tasks = TaskTracker::new();
    let connection = Connection::dial(address, config, &tasks)
        .await
        .map_err(Failed::Dial)?;
    // Epoch 0 asks for the hello only.
    let mut request = Request::new(tokio_stream::once(proto::RequestBatch {
        hello: Some(proto::Hello::new(config, 0)),
        ..proto::RequestBatch::default()
    }));
    config.trust.attach_secret(request.metadata_mut());
    let mut client =
        LinkClient::with_origin(connection.requests.clone(), connection.origin.clone());
    let mut incoming = match client.exchange(request).await {
        Ok(response) => response.into_inner(),
        Err(status) if status.code() == Code::Unimplemented => return Ok(Probed::Foreign),
        Err(status) => return Err(status.into()),
    };
    let hello = incoming.message().await?.and_then(|first| first.hello);
    let hello = hello.ok_or_else(|| Status::from(HelloError::Missing))?;
    let (process, _) = hello.agree(config).map_err(Status::from)?;
    Ok(Probed::Node(process))
}
