//! The port on which peers meet.
//!
//! Owns the socket, its connections and their bounds, and the services on it: streams, the unary service,
//! health and reflection. Must not know what posts mean.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    authorizer::{Authorizer, Warnings},
    config::{
        CONNECTION_WINDOW, GREETING_WITHIN, KEEP_ALIVE_EVERY, KEEP_ALIVE_WITHIN, LinkConfig,
        SEND_BUFFER, STREAM_WINDOW,
    },
    inbound::{CompatService, LinkService, Receiver, StreamEpochs},
    proto::{self, link_server::LinkServer, websocket::websocket_server::WebsocketServer},
    transport::Tasks,
};

/// Calls under way on one connection: a stream, and what a go-websocket node has under way.
const CALLS: u32 = 1024;
/// After a failed accept: with no descriptor left the next one fails too.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// What health speaks of.
const HEALTH: [&str; 3] = ["", "websocket.Websocket", "tieline.link.v1.Link"];

/// A bound port. It runs until [`shutdown`](Self::shutdown); dropped, it ends at once.
pub(crate) struct PeerServer {
    address: SocketAddr,
    health: HealthReporter,
    epochs: Arc<StreamEpochs>,
    /// Streams end, connections follow.
    ending: CancellationToken,
    /// Connections end at once.
    aborting: CancellationToken,
    tasks: TaskTracker,
}

impl PeerServer {
    /// Binds the port and serves it. Whether that is safe is
    /// [`PeerSecurity::validate`](super::PeerSecurity::validate)'s to say.
    #[cfg(test)]
    pub(crate) async fn bind(
        address: SocketAddr,
        config: Arc<LinkConfig>,
        receiver: Arc<dyn Receiver>,
    ) -> io::Result<Self> {
        Self::serve(TcpListener::bind(address).await?, config, receiver).await
    }

    /// Serves a port that is bound already.
    pub(crate) async fn serve(
        listener: TcpListener,
        config: Arc<LinkConfig>,
        receiver: Arc<dyn Receiver>,
    ) -> io::Result<Self> {
        let port = Self {
            address: listener.local_addr()?,
            health: HealthReporter::new(),
            epochs: Arc::default(),
            ending: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        port.say(ServingStatus::Serving).await;
        let warnings = Arc::new(Warnings::default());
        let serving = Arc::new(Serving {
            admission: Authorizer {
                routes: port.routes(&config, &receiver, &warnings)?,
                trust: Arc::clone(&config.trust),
                open_unary: config.open_unary || port.address.ip().is_loopback(),
                warnings: Arc::clone(&warnings),
            },
            room: Arc::new(Semaphore::new(config.connections)),
            config,
            warnings,
            ending: port.ending.clone(),
            aborting: port.aborting.clone(),
            tasks: port.tasks.clone(),
        });
        port.tasks.spawn(serving.accept(listener));
        Ok(port)
    }

    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Says by the health service that this node drains.
    pub(crate) async fn draining(&self) {
        self.say(ServingStatus::NotServing).await;
    }

    /// Ends the streams once what they have read is answered, then all connections; what has not ended
    /// `within` is cut.
    pub(crate) async fn shutdown(&self, within: Duration) {
        self.say(ServingStatus::NotServing).await;
        self.ending.cancel();
        self.tasks.close();
        if timeout(within, self.tasks.wait()).await.is_err() {
            self.aborting.cancel();
            self.tasks.wait().await;
        }
    }

    async fn say(&self, status: ServingStatus) {
        for name in HEALTH {
            self.health.set_service_status(name, status).await;
        }
    }

    fn routes(
        &self,
        config: &Arc<LinkConfig>,
        receiver: &Arc<dyn Receiver>,
        warnings: &Arc<Warnings>,
    ) -> io::Result<Routes> {
        let exchanges = LinkService {
            receiver: Arc::clone(receiver),
            config: Arc::clone(config),
            epochs: Arc::clone(&self.epochs),
            warnings: Arc::clone(warnings),
            ending: self.ending.clone(),
        };
        let unary = CompatService(Arc::clone(receiver));
        let health = tonic_health::server::HealthService::from_health_reporter(self.health.clone());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // By name, since the definitions hold those of services that others offer.
                .with_service_name("websocket.Websocket")
                .with_service_name("tieline.link.v1.Link")
                .with_service_name("grpc.health.v1.Health")
        };
        let largest = config.largest();
        Ok(
            Routes::new(LinkServer::new(exchanges).max_decoding_message_size(largest))
                .add_service(WebsocketServer::new(unary).max_decoding_message_size(largest))
                .add_service(tonic_health::pb::health_server::HealthServer::new(health))
                .add_service(reflection().build_v1().map_err(io::Error::other)?)
                .add_service(reflection().build_v1alpha().map_err(io::Error::other)?)
                .prepare(),
        )
    }

    #[cfg(test)]
    pub(super) fn streams(&self) -> usize {
        self.epochs.len()
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        self.ending.cancel();
        self.aborting.cancel();
    }
}

/// What the accepting task and the connections share.
struct Serving {
    config: Arc<LinkConfig>,
    admission: Authorizer,
    room: Arc<Semaphore>,
    warnings: Arc<Warnings>,
    ending: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let accepting = async {
            loop {
                let (tcp, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a peer");
                        sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                // One beyond the bound is refused: left waiting it would look like a dead node.
                match Arc::clone(&self.room).try_acquire_owned() {
                    Ok(place) => drop(
                        self.tasks
                            .spawn(Arc::clone(&self).connection(tcp, from, place)),
                    ),
                    Err(_) => self.warnings.warn(from, &"too many connections"),
                }
            }
        };
        self.ending.run_until_cancelled(accepting).await;
    }

    async fn connection(
        self: Arc<Self>,
        tcp: TcpStream,
        from: SocketAddr,
        _place: OwnedSemaphorePermit,
    ) {
        let serving = async {
            // Without it a small batch would wait for the acknowledgement of the last one.
            if tcp.set_nodelay(true).is_err() {
                return;
            }
            let Some(credentials) = &self.config.trust.credentials else {
                return self.http(tcp, from).await;
            };
            match timeout(GREETING_WITHIN, credentials.acceptor.accept(tcp)).await {
                Ok(Ok(tls)) => self.http(tls, from).await,
                Ok(Err(error)) => self.warnings.warn(from, &error),
                Err(_) => self.warnings.warn(from, &"the TLS handshake took too long"),
            }
        };
        self.aborting.run_until_cancelled(serving).await;
    }

    async fn http<I>(&self, io: I, from: SocketAddr)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let tasks = Tasks::new(self.tasks.clone());
        let _end = EndWith(&tasks);
        let asked = AtomicBool::new(false);
        let service = service_fn(|request: http::Request<Incoming>| {
            // Others do not keep their connection for long: it holds a place that a peer may need.
            let admitted = self.admission.admit(&request);
            if matches!(admitted, Ok(true)) {
                asked.store(true, Ordering::Relaxed);
            }
            self.admission.clone().call(request, admitted, from)
        });
        let connection = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_concurrent_streams(CALLS)
            .keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_WITHIN)
            .serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        let mut greeting = true;
        let mut ending = false;
        loop {
            tokio::select! {
                ended = &mut connection => {
                    // Once it has asked for something, how it ends is its peer's business.
                    if let (Err(error), false) = (ended, asked.load(Ordering::Relaxed)) {
                        self.warnings.warn(from, &error);
                    }
                    return;
                }
                () = sleep(GREETING_WITHIN), if greeting => {
                    greeting = false;
                    if !asked.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = self.ending.cancelled(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Ends a connection's tasks when its own is dropped.
struct EndWith<'a>(&'a Tasks);

impl Drop for EndWith<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
