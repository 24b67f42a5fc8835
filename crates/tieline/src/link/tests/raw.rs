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

use super::kit::{loopback, settings};
use crate::link::{
    settings::Settings,
    transport::Connection,
    wire::{self, Envelope, Post, link_client::LinkClient, link_server},
};

/// A stream opened by hand.
pub(super) struct Raw {
    pub(super) sender: mpsc::Sender<wire::Outgoing>,
    pub(super) incoming: Streaming<wire::Incoming>,
    _connection: Connection,
}

impl Raw {
    /// Opens a stream with this first message.
    pub(super) async fn open(address: SocketAddr, first: wire::Outgoing) -> Result<Self, Status> {
        let connection = Connection::dial(&address.to_string(), &settings(), &TaskTracker::new())
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
        settings: &Settings,
        epoch: u64,
    ) -> Result<Self, Status> {
        let mut raw = Self::open(address, hello(settings, epoch)).await?;
        raw.incoming.message().await?.unwrap().hello.unwrap();
        Ok(raw)
    }

    pub(super) async fn post(&self, post: Post) {
        let message = wire::Outgoing {
            posts: vec![Envelope { what: Some(post) }],
            ..wire::Outgoing::default()
        };
        // The stream may have ended.
        drop(self.sender.send(message).await);
    }

    /// The next message that is about posts, or the stream's end.
    pub(super) async fn outcomes(&mut self) -> Result<wire::Incoming, Status> {
        loop {
            let message = self.incoming.message().await?;
            let message = message.ok_or_else(|| Status::ok("ended"))?;
            if !message.outcomes.is_empty() || !message.answers.is_empty() {
                return Ok(message);
            }
        }
    }
}

pub(super) fn hello(settings: &Settings, epoch: u64) -> wire::Outgoing {
    wire::Outgoing {
        hello: Some(wire::Hello::new(settings, epoch)),
        ..wire::Outgoing::default()
    }
}

/// An answerer that greets, says what it is told to, and reads nothing.
pub(super) struct Puppet {
    pub(super) address: SocketAddr,
}

struct Strings {
    says: Vec<wire::Incoming>,
}

impl Puppet {
    pub(super) async fn start(says: Vec<wire::Incoming>) -> Self {
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
    type ExchangeStream = BoxStream<'static, Result<wire::Incoming, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Outgoing>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut outgoing = request.into_inner();
        outgoing.message().await?.unwrap().hello.unwrap();
        let greeting = wire::Incoming {
            hello: Some(wire::Hello::new(&settings(), 1)),
            ..wire::Incoming::default()
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
