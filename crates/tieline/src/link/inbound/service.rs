//! The gRPC service on which peers open streams.
//!
//! Owns the hello of a stream and its place among the streams of its process.

use std::sync::Arc;

use futures_util::{
    future::{Either, Ready, ready},
    stream::{Once, once},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    epoch_guard::StreamEpochs,
    receiver::{PeerInfo, Receiver},
    stream::InboundStream,
};
use crate::link::{
    caller::{Caller, Warnings},
    config::{HANDSHAKE_TIMEOUT, LinkConfig},
    proto::{self, HelloError, link_server},
};

/// Accepts the streams of peers.
pub(in crate::link) struct LinkService {
    pub(in crate::link) receiver: Arc<dyn Receiver>,
    pub(in crate::link) config: Arc<LinkConfig>,
    pub(in crate::link) epochs: Arc<StreamEpochs>,
    pub(in crate::link) warnings: Arc<Warnings>,
    pub(in crate::link) shutdown: CancellationToken,
}

/// A stream, or only this node's hello.
pub(in crate::link) type ExchangeResponse =
    Either<InboundStream, Once<Ready<Result<proto::ResponseBatch, Status>>>>;

#[tonic::async_trait]
impl link_server::Link for LinkService {
    type ExchangeStream = ExchangeResponse;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let caller = Caller::of(request.extensions())
            .ok_or_else(|| Status::internal("the call did not pass the authorizer"))?;
        let mut incoming = request.into_inner();
        let hello = timeout(HANDSHAKE_TIMEOUT, incoming.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello arrived in time"))??
            .and_then(|first| first.hello)
            .ok_or(HelloError::Missing)?;
        let response = self
            .open(&hello, incoming, &caller)
            .inspect_err(|status| self.warnings.warn(caller.from, &status.message()))?;
        Ok(Response::new(response))
    }
}

impl LinkService {
    fn open(
        &self,
        hello: &proto::Hello,
        incoming: Streaming<proto::RequestBatch>,
        caller: &Caller,
    ) -> Result<ExchangeResponse, Status> {
        let (process, version) = hello.negotiate(&self.config.versions)?;
        let our_hello = self.config.hello(0);
        if hello.epoch == 0 {
            return Ok(Either::Right(once(ready(Ok(hello_message(our_hello))))));
        }
        caller.admit()?;
        let guard = self
            .epochs
            .enter(process, hello.epoch, &self.shutdown)
            .ok_or_else(|| Status::aborted("a newer stream of the same process is open"))?;
        let peer = PeerInfo {
            address: (!hello.address.is_empty()).then(|| hello.address.as_str().into()),
            process,
            version,
        };
        let address = peer.address.as_deref().unwrap_or_default();
        let from = caller.from;
        tracing::info!(%from, address, %process, version, "peer opened a stream");
        self.receiver.stream_opened(&peer);
        let max_size = hello.max_request(self.config.max_message_size()).get();
        let receiver = Arc::clone(&self.receiver);
        let hello = hello_message(our_hello);
        let clock = self.config.clock.clone();
        let stream = InboundStream::new(receiver, peer, guard, incoming, hello, max_size, clock);
        Ok(Either::Left(stream))
    }
}

fn hello_message(hello: proto::Hello) -> proto::ResponseBatch {
    proto::ResponseBatch {
        hello: Some(hello),
        ..proto::ResponseBatch::default()
    }
}
