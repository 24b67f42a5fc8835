//! Peers that do not behave: an opener that says what it is told to, an answerer that does.

use std::net::SocketAddr;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::TaskTracker;
use tonic::{
    Request, Response, Status, Streaming,
    codegen::tokio_stream::wrappers::ReceiverStream,
    transport::{Server, server::TcpIncoming},
};

use super::support::{config, loopback};
use crate::link::{
    config::LinkConfig,
    proto::{self, PeerRequest, RequestKind, link_client::LinkClient, link_server},
    transport::Connection,
};

/// A stream opened by hand.
pub(super) struct Raw {
    pub(super) sender: mpsc::Sender<proto::RequestBatch>,
    pub(super) incoming: Streaming<proto::ResponseBatch>,
    _connection: Connection,
}

impl Raw {
    /// Opens a stream with this first message.
    pub(super) async fn open(
        address: SocketAddr,
        first: proto::RequestBatch,
    ) -> Result<Self, Status> {
        let connection = Connection::dial(&address.to_string(), &config(), &TaskTracker::new())
            .await
            .unwrap();
        let (sender, outgoing) = mpsc::channel(16);
        sender.send(first).await.unwrap();
        let incoming =
            LinkClient::with_origin(connection.requests.clone(), connection.origin.clone())
                .exchange(Request::new(ReceiverStream::new(outgoing)))
                .await?
                .into_inner();
        Ok(Self {
            sender,
            incoming,
            _connection: connection,
        })
    }

    /// Opens a stream of this process and epoch, and awaits the hello.
    pub(super) async fn greet(
        address: SocketAddr,
        config: &LinkConfig,
        epoch: u64,
    ) -> Result<Self, Status> {
        let mut raw = Self::open(address, hello(config, epoch)).await?;
        raw.incoming.message().await?.unwrap().hello.unwrap();
        Ok(raw)
    }

    pub(super) async fn post(&self, request: RequestKind) {
        let message = proto::RequestBatch {
            requests: vec![PeerRequest {
                kind: Some(request),
            }],
            ..proto::RequestBatch::default()
        };
        // The stream may have ended.
        drop(self.sender.send(message).await);
    }

    /// The next message that is about posts, or the stream's end.
    pub(super) async fn outcomes(&mut self) -> Result<proto::ResponseBatch, Status> {
        loop {
            let message = self.incoming.message().await?;
            let message = message.ok_or_else(|| Status::ok("ended"))?;
            if !message.outcomes.is_empty() || !message.responses.is_empty() {
                return Ok(message);
            }
        }
    }
}

pub(super) fn hello(config: &LinkConfig, epoch: u64) -> proto::RequestBatch {
    proto::RequestBatch {
        hello: Some(proto::Hello::new(config, epoch)),
        ..proto::RequestBatch::default()
    }
}

/// An answerer that greets, says what it is told to, and reads nothing.
pub(super) struct Puppet {
    pub(super) address: SocketAddr,
}

struct Strings {
    says: Vec<proto::ResponseBatch>,
}

impl Puppet {
    pub(super) async fn start(says: Vec<proto::ResponseBatch>) -> Self {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let strings = Strings { says };
        let server = Server::builder().add_service(link_server::LinkServer::new(strings));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address }
    }
}

#[tonic::async_trait]
impl link_server::Link for Strings {
    type ExchangeStream = BoxStream<'static, Result<proto::ResponseBatch, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut outgoing = request.into_inner();
        outgoing.message().await?.unwrap().hello.unwrap();
        let greeting = proto::ResponseBatch {
            hello: Some(proto::Hello::new(&config(), 1)),
            ..proto::ResponseBatch::default()
        };
        // Holds on to what comes, so that the stream stays open, and reads none of it.
        let rest = stream::once(async move {
            let _outgoing = outgoing;
            std::future::pending().await
        });
        let says = std::iter::once(greeting).chain(self.says.clone());
        Ok(Response::new(
            stream::iter(says.map(Ok).collect::<Vec<_>>())
                .chain(rest)
                .boxed(),
        ))
    }
}
