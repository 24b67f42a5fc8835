//! One stream: the hello of each side, then the outcomes that the peer sends.
//!
//! Owns the order of a stream's messages, and what a gRPC status means for the link. Must not know how
//! connections are dialed or what is queued. Invariants: no outcome is read before the peer's hello; an
//! outcome for a request that was not sent ends the stream.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::{Instant, timeout};
use tonic::{Code, Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};

use super::{
    end::LinkEnd, peer_view::PeerView, queue::UnknownNumber, shared::Shared, stream::OutboundStream,
};
use crate::link::{
    codec::BatchCodec,
    config::HANDSHAKE_TIMEOUT,
    outcome::Completion,
    proto::{self, HelloError},
    transport::Connection,
};

/// The path of the gRPC method.
const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

/// Runs one stream until it ends.
pub(super) async fn exchange<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
) -> LinkEnd {
    let epoch = next_epoch();
    shared.with_state(|state| state.on_connect(epoch, connection.tasks()));
    let opening = timeout(HANDSHAKE_TIMEOUT, open(shared, connection, epoch)).await;
    let (mut incoming, hello) = match opening {
        Ok(Ok(opened)) => opened,
        Ok(Err(status)) => return refusal(&status),
        Err(_) => return LinkEnd::Broken("the peer's hello timed out".into()),
    };
    if let Err(error) = shared.on_hello(&hello) {
        return LinkEnd::Refused(error.to_string());
    }
    loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                if shared.on_message(message).is_err() {
                    let why = "the peer answered a request that was not sent";
                    return LinkEnd::Refused(why.into());
                }
            }
            Ok(None) => return LinkEnd::Broken("the peer ended the stream".into()),
            Err(status) if status.message() == proto::NODE_SHUTDOWN => return LinkEnd::Shutdown,
            Err(status) => return LinkEnd::Broken(status.message().to_owned()),
        }
    }
}

/// Streams of this process are numbered in ascending order.
fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}

async fn open<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    epoch: u64,
) -> Result<(Streaming<proto::ResponseBatch>, proto::Hello), Status> {
    let mut request = Request::new(OutboundStream::new(Arc::clone(shared), epoch));
    shared.config.trust.attach_secret(request.metadata_mut());
    let mut client = Grpc::with_origin(connection.requests.clone(), connection.origin.clone())
        .max_decoding_message_size(shared.config.max_message_size());
    let is_ready = client.ready().await;
    is_ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let response = client
        .streaming(request, PathAndQuery::from_static(EXCHANGE), BatchCodec)
        .await;
    let mut incoming = response?.into_inner();
    let hello = incoming.message().await?.and_then(|first| first.hello);
    Ok((incoming, hello.ok_or(HelloError::Missing)?))
}

fn refusal(status: &Status) -> LinkEnd {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unimplemented => LinkEnd::UnaryOnly,
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied => LinkEnd::Refused(why),
        _ => LinkEnd::Broken(why),
    }
}

impl<T: Completion> Shared<T> {
    fn on_hello(&self, hello: &proto::Hello) -> Result<(), HelloError> {
        let (process, version) = hello.negotiate(&self.config.versions)?;
        *self.peer_view.write() = PeerView::stream(process);
        let max_request = hello.max_request(self.config.max_message_size());
        self.with_state(|state| state.on_hello(max_request, Instant::now()));
        tracing::info!(peer = %self.address, %process, version, "link up");
        Ok(())
    }

    fn on_message(&self, message: proto::ResponseBatch) -> Result<(), UnknownNumber> {
        let mut applied = None;
        if let Some(change) = &message.interest {
            self.peer_view.write().apply(change);
            applied = NonZeroU64::new(change.version);
        }
        let (recovered, result) = self.with_state(|state| {
            let recovered = state.on_received(Instant::now());
            let result = state.on_outcomes(message);
            // Acknowledged after the change is applied, so that the peer may rely on it.
            if let Some(version) = applied {
                state.acknowledge_interest(version);
            }
            (recovered, result)
        });
        if recovered {
            tracing::info!(peer = %self.address, "peer responding again");
        }
        result
    }
}
