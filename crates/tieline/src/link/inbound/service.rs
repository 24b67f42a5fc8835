//! The service on which peers open their streams: the hello, and the place behind the fence.

use std::{net::SocketAddr, sync::Arc};

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
    authorizer::{Caller, Warnings},
    config::{GREETING_WITHIN, LinkConfig, largest_post},
    proto::{self, HelloError, link_server},
};

/// The streams of peers.
pub(in crate::link) struct LinkService {
    pub(in crate::link) receiver: Arc<dyn Receiver>,
    pub(in crate::link) config: Arc<LinkConfig>,
    pub(in crate::link) epochs: Arc<StreamEpochs>,
    pub(in crate::link) warnings: Arc<Warnings>,
    pub(in crate::link) ending: CancellationToken,
}

/// A stream, or a hello and no more.
pub(in crate::link) type ExchangeResponse =
    Either<InboundStream, Once<Ready<Result<proto::ResponseBatch, Status>>>>;

#[tonic::async_trait]
impl link_server::Link for LinkService {
    type ExchangeStream = ExchangeResponse;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let from = Caller::of(request.extensions());
        let mut incoming = request.into_inner();
        let hello = timeout(GREETING_WITHIN, incoming.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello came"))??
            .and_then(|first| first.hello)
            .ok_or(HelloError::Missing)?;
        let exchange = self
            .open(&hello, incoming, from)
            .inspect_err(|status| self.warnings.warn(from, &status.message()))?;
        Ok(Response::new(exchange))
    }
}

impl LinkService {
    fn open(
        &self,
        hello: &proto::Hello,
        incoming: Streaming<proto::RequestBatch>,
        from: SocketAddr,
    ) -> Result<ExchangeResponse, Status> {
        let (process, version) = hello.agree(&self.config)?;
        let ours = proto::Hello::new(&self.config, 0);
        if hello.epoch == 0 {
            return Ok(Either::Right(once(ready(Ok(hello_only(ours))))));
        }
        let guard = self
            .epochs
            .enter(process, hello.epoch, &self.ending)
            .ok_or_else(|| Status::aborted("a newer stream of the same process is open"))?;
        let peer = PeerInfo {
            address: (!hello.address.is_empty()).then(|| hello.address.as_str().into()),
            process,
            version,
        };
        let address = peer.address.as_deref().unwrap_or_default();
        tracing::info!(%from, address, %process, version, "a peer has opened a stream");
        self.receiver.greeted(&peer);
        let largest = largest_post(hello, &self.config);
        let receiver = Arc::clone(&self.receiver);
        let exchange = InboundStream::new(receiver, peer, guard, incoming, ours, largest);
        Ok(Either::Left(exchange))
    }
}

fn hello_only(hello: proto::Hello) -> proto::ResponseBatch {
    proto::ResponseBatch {
        hello: Some(hello),
        ..proto::ResponseBatch::default()
    }
}
