//! The service on which peers open their streams: the hello, and the place behind the fence.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{
    future::{Either, Ready, ready},
    stream::{Once, once},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{Fences, Peer, Receiver, stream::Exchange};
use crate::link::{
    admission::{Caller, Warnings},
    settings::{GREETING_WITHIN, Settings, largest_post},
    wire::{self, HelloError, link_server},
};

/// The streams of peers.
pub(in crate::link) struct Exchanges {
    pub(in crate::link) receiver: Arc<dyn Receiver>,
    pub(in crate::link) settings: Arc<Settings>,
    pub(in crate::link) fences: Arc<Fences>,
    pub(in crate::link) warnings: Arc<Warnings>,
    pub(in crate::link) ending: CancellationToken,
}

/// A stream, or a hello and no more.
pub(in crate::link) type Answering = Either<Exchange, Once<Ready<Result<wire::Incoming, Status>>>>;

#[tonic::async_trait]
impl link_server::Link for Exchanges {
    type ExchangeStream = Answering;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Outgoing>>,
    ) -> Result<Response<Answering>, Status> {
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

impl Exchanges {
    fn open(
        &self,
        hello: &wire::Hello,
        incoming: Streaming<wire::Outgoing>,
        from: SocketAddr,
    ) -> Result<Answering, Status> {
        let (process, version) = hello.agree(&self.settings)?;
        let ours = wire::Hello::new(&self.settings, 0);
        if hello.epoch == 0 {
            return Ok(Either::Right(once(ready(Ok(hello_only(ours))))));
        }
        let fence = self
            .fences
            .enter(process, hello.epoch, &self.ending)
            .ok_or_else(|| Status::aborted("a newer stream of the same process is open"))?;
        let peer = Peer {
            address: (!hello.address.is_empty()).then(|| hello.address.as_str().into()),
            process,
            version,
        };
        let address = peer.address.as_deref().unwrap_or_default();
        tracing::info!(%from, address, %process, version, "a peer has opened a stream");
        self.receiver.greeted(&peer);
        let largest = largest_post(hello, &self.settings);
        let receiver = Arc::clone(&self.receiver);
        let exchange = Exchange::new(receiver, peer, fence, incoming, ours, largest);
        Ok(Either::Left(exchange))
    }
}

fn hello_only(hello: wire::Hello) -> wire::Incoming {
    wire::Incoming {
        hello: Some(hello),
        ..wire::Incoming::default()
    }
}
