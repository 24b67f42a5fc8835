//! Peers that do not behave as nodes do: streams opened by hand, and a server that follows a script.

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
    greeting,
    proto::{self, PeerRequest, RequestKind, link_client::LinkClient, link_server},
    transport::Connection,
};

/// A stream opened by hand.
pub(super) struct RawStream {
    pub(super) sender: mpsc::Sender<proto::RequestBatch>,
    pub(super) incoming: Streaming<proto::ResponseBatch>,
    _connection: Connection,
}

impl RawStream {
    /// Opens a stream of this process and epoch, and completes the greeting.
    pub(super) async fn open(
        address: SocketAddr,
        config: &LinkConfig,
        epoch: u64,
    ) -> Result<Self, Status> {
        let first = hello(config, epoch);
        let ours = first.hello.clone().unwrap();
        let mut stream = Self::open_with(address, first).await?;
        let theirs = stream.incoming.message().await?.unwrap().hello.unwrap();
        let (_, confirmation) = greeting::check_answer(config, "", &ours, &theirs).unwrap();
        let second = proto::RequestBatch {
            confirmation: Some(confirmation),
            ..proto::RequestBatch::default()
        };
        stream.sender.send(second).await.unwrap();
        // What the node has a connection of: it is sent once the greeting is complete.
        stream.incoming.message().await?.unwrap().interest.unwrap();
        Ok(stream)
    }

    /// Opens a stream with this first message.
    pub(super) async fn open_with(
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

    pub(super) async fn send(&self, request: RequestKind) {
        let message = proto::RequestBatch {
            requests: vec![PeerRequest {
                kind: Some(request),
                ..PeerRequest::default()
            }],
            ..proto::RequestBatch::default()
        };
        // The stream may have ended.
        drop(self.sender.send(message).await);
    }

    /// The next message with outcomes or responses, or the status with which the stream ended.
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
        hello: Some(config.hello(epoch)),
        ..proto::RequestBatch::default()
    }
}

/// A server that sends its hello and then a script, and reads nothing but the hello of each stream.
pub(super) struct ScriptedPeer {
    pub(super) address: SocketAddr,
}

struct ScriptedService {
    script: Vec<proto::ResponseBatch>,
    hello: proto::Hello,
}

impl ScriptedPeer {
    pub(super) async fn start(script: Vec<proto::ResponseBatch>) -> Self {
        Self::with_hello(config().hello(1), script).await
    }

    pub(super) async fn with_hello(hello: proto::Hello, script: Vec<proto::ResponseBatch>) -> Self {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = ScriptedService { script, hello };
        let server = Server::builder().add_service(link_server::LinkServer::new(service));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address }
    }
}

#[tonic::async_trait]
impl link_server::Link for ScriptedService {
    type ExchangeStream = BoxStream<'static, Result<proto::ResponseBatch, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut requests = request.into_inner();
        requests.message().await?.unwrap().hello.unwrap();
        let hello = proto::ResponseBatch {
            hello: Some(self.hello.clone()),
            ..proto::ResponseBatch::default()
        };
        // Keeps the requests, so that the stream stays open, and reads none of them.
        let rest = stream::once(async move {
            let _requests = requests;
            std::future::pending().await
        });
        let script = std::iter::once(hello).chain(self.script.clone());
        Ok(Response::new(
            stream::iter(script.map(Ok).collect::<Vec<_>>())
                .chain(rest)
                .boxed(),
        ))
    }
}
