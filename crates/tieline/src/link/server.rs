//! The gRPC server for peers.
//!
//! Owns the listening socket, its connections and their bounds, and the services: streams, the unary
//! service, health and reflection. Must not know what requests mean. Invariants: connections and calls are
//! bounded; every task ends with the server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    authorizer::Authorizer,
    caller::{Caller, Warnings},
    config::{
        CONNECTION_WINDOW, HANDSHAKE_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, LinkConfig,
        SEND_BUFFER, STREAM_WINDOW,
    },
    inbound::{CompatService, LinkService, Receiver, StreamEpochs},
    places::{Place, Places},
    proto::{self, link_server::LinkServer, websocket::websocket_server::WebsocketServer},
    transport::Tasks,
};

/// Concurrent calls on one connection: a stream, and the unary calls of a go-websocket node.
const MAX_CALLS: u32 = 1024;
/// A connection that does not belong to a peer by then is closed: it takes a place that a peer may need. Longer
/// than the first message of a greeting may take, so that its caller is told why.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause after a failed accept: while no descriptor is free, the next accept fails too.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Services whose health is reported; the empty name is the server as a whole.
const HEALTH_SERVICES: [&str; 3] = ["", "websocket.Websocket", "tieline.link.v1.Link"];

/// A server on a bound port. Runs until [`shutdown`](Self::shutdown); aborts when dropped.
pub(crate) struct PeerServer {
    address: SocketAddr,
    health: HealthReporter,
    epochs: Arc<StreamEpochs>,
    /// Ends the streams, then their connections.
    shutdown: CancellationToken,
    /// Ends all connections at once.
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl PeerServer {
    /// Binds the port and serves it. Does not check that this is safe: see
    /// [`PeerSecurity::validate`](super::PeerSecurity::validate).
    #[cfg(test)]
    pub(crate) async fn bind(
        address: SocketAddr,
        config: Arc<LinkConfig>,
        receiver: Arc<dyn Receiver>,
    ) -> io::Result<Self> {
        Self::serve(TcpListener::bind(address).await?, config, receiver).await
    }

    /// Serves a port that is already bound.
    pub(crate) async fn serve(
        listener: TcpListener,
        config: Arc<LinkConfig>,
        receiver: Arc<dyn Receiver>,
    ) -> io::Result<Self> {
        let server = Self {
            address: listener.local_addr()?,
            health: HealthReporter::new(),
            epochs: Arc::default(),
            shutdown: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        server.report_health(ServingStatus::Serving).await;
        let warnings = Arc::new(Warnings::default());
        let shared = Arc::new(Shared {
            authorizer: Authorizer {
                routes: server.routes(&config, &receiver, &warnings)?,
                trust: Arc::clone(&config.trust),
                open_unary: config.open_unary || server.address.ip().is_loopback(),
                warnings: Arc::clone(&warnings),
            },
            places: Places::new(config.connections, config.handshakes),
            config,
            warnings,
            shutdown: server.shutdown.clone(),
            abort: server.abort.clone(),
            tasks: server.tasks.clone(),
        });
        server.tasks.spawn(shared.accept(listener));
        Ok(server)
    }

    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Reports through the health service that this node is draining.
    pub(crate) async fn draining(&self) {
        self.report_health(ServingStatus::NotServing).await;
    }

    /// Ends the streams once everything they have read is answered, then all connections. Aborts what is
    /// left after `limit`.
    pub(crate) async fn shutdown(&self, limit: Duration) {
        self.report_health(ServingStatus::NotServing).await;
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_err() {
            self.abort.cancel();
            self.tasks.wait().await;
        }
    }

    async fn report_health(&self, status: ServingStatus) {
        for name in HEALTH_SERVICES {
            self.health.set_service_status(name, status).await;
        }
    }

    fn routes(
        &self,
        config: &Arc<LinkConfig>,
        receiver: &Arc<dyn Receiver>,
        warnings: &Arc<Warnings>,
    ) -> io::Result<Routes> {
        let link = LinkService {
            receiver: Arc::clone(receiver),
            config: Arc::clone(config),
            epochs: Arc::clone(&self.epochs),
            warnings: Arc::clone(warnings),
            shutdown: self.shutdown.clone(),
        };
        let unary = CompatService(Arc::clone(receiver));
        let health = tonic_health::server::HealthService::from_health_reporter(self.health.clone());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // Listed by name: the descriptors contain services that this server does not offer.
                .with_service_name("websocket.Websocket")
                .with_service_name("tieline.link.v1.Link")
                .with_service_name("grpc.health.v1.Health")
        };
        let max_size = config.max_message_size();
        Ok(
            Routes::new(LinkServer::new(link).max_decoding_message_size(max_size))
                .add_service(WebsocketServer::new(unary).max_decoding_message_size(max_size))
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
        self.shutdown.cancel();
        self.abort.cancel();
    }
}

/// State that the accept task and the connections share.
struct Shared {
    config: Arc<LinkConfig>,
    authorizer: Authorizer,
    places: Arc<Places>,
    warnings: Arc<Warnings>,
    shutdown: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let accept = async {
            loop {
                let (tcp, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a peer connection");
                        sleep(ACCEPT_BACKOFF).await;
                        continue;
                    }
                };
                let (place, made_room) = self.places.enter();
                if made_room {
                    let why = "too many connections that are not of peers: the oldest was closed";
                    self.warnings.warn(from, &why);
                }
                let caller = Caller { from, place };
                self.tasks
                    .spawn(Arc::clone(&self).serve_connection(tcp, caller));
            }
        };
        self.shutdown.run_until_cancelled(accept).await;
    }

    async fn serve_connection(self: Arc<Self>, tcp: TcpStream, caller: Caller) {
        let serve = async {
            // Otherwise a small batch would wait until the previous one is acknowledged.
            if tcp.set_nodelay(true).is_err() {
                return;
            }
            let Some(credentials) = self.config.trust.credentials() else {
                return self.serve_http(tcp, &caller).await;
            };
            match timeout(HANDSHAKE_TIMEOUT, credentials.acceptor.accept(tcp)).await {
                Ok(Ok(tls)) => self.serve_http(tls, &caller).await,
                Ok(Err(error)) => self.warnings.warn(caller.from, &error),
                Err(_) => self
                    .warnings
                    .warn(caller.from, &"the TLS handshake timed out"),
            }
        };
        tokio::select! {
            () = serve => {}
            () = self.abort.cancelled() => {}
            () = until_revoked(&caller.place) => {}
        }
    }

    async fn serve_http<I>(&self, io: I, caller: &Caller)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let tasks = Tasks::new(self.tasks.clone());
        let _end = EndOnDrop(&tasks);
        let service = service_fn(|request: http::Request<Incoming>| {
            self.authorizer.clone().call(request, caller.clone())
        });
        let connection = http2_builder(&tasks).serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        let mut is_new = true;
        let mut is_ending = false;
        loop {
            tokio::select! {
                ended = &mut connection => {
                    // How the connection of a peer ends is reported by the peer's stream.
                    if let (Err(error), false) = (ended, caller.place.is_peer()) {
                        self.warnings.warn(caller.from, &error);
                    }
                    return;
                }
                () = sleep(STRANGER_TIMEOUT), if is_new => {
                    is_new = false;
                    if !caller.place.is_peer() {
                        return;
                    }
                }
                () = self.shutdown.cancelled(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn http2_builder(tasks: &Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(MAX_CALLS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

/// Completes when a stranger has to leave. A peer that was one when its place was taken stays.
async fn until_revoked(place: &Place) {
    place.revoked().await;
    if place.is_peer() {
        std::future::pending::<()>().await;
    }
}

/// Ends a connection's tasks when the connection's own task is dropped.
struct EndOnDrop<'a>(&'a Tasks);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
