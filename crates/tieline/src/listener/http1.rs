//! One HTTP/1.1 connection, until it ends or is upgraded.
//!
//! Owns the limits of headers, and when a request begins and ends. Must not know what is served.

use std::{convert::Infallible, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    accept_info::AcceptInfo,
    arrival,
    body::{Body, ResponseBody},
    causes,
    handshake_failure::{Failed, FailedHandshake, FailureLog, HandshakeFailure, HandshakeFailures},
    http_stream::HttpStream,
    peer::Peer,
    pipelining::Pipelined,
    places::{Place, PlaceGuard, Places, RequestInProgress},
    progress::{Awaited, Progress},
    proxy::{self, Announced, Proxies},
    service::HttpService,
    wait::Lost,
};
#[cfg(feature = "tls")]
use super::{client_certificate::ClientCertificate, tls::Tls};
use crate::config::Config;

/// As many header fields as hyper takes by itself. It parses them quicker than if it is told the same number: then it
/// initializes two arrays for each request.
const HYPER_HEADER_FIELDS: usize = 100;

/// The settings by which connections are served before an upgrade.
#[derive(Debug, Clone)]
pub(super) struct Server {
    header_size: usize,
    header_fields: usize,
    handshake_timeout: Duration,
    places: Arc<Places>,
    proxies: Arc<Proxies>,
    failures: Arc<FailureLog>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) tcp: TcpStream,
    pub(super) peer: Peer,
    pub(super) place: PlaceGuard,
}

impl Server {
    /// `config` is valid.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            header_size: config.header_size,
            header_fields: config.header_fields,
            handshake_timeout: config.handshake_timeout,
            places: Arc::new(Places::new(config)),
            proxies: Arc::default(),
            failures: Arc::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Takes the limits of a valid configuration.
    pub(super) fn limits(&mut self, config: &Config) {
        *self = Self {
            proxies: Arc::clone(&self.proxies),
            failures: Arc::clone(&self.failures),
            #[cfg(feature = "tls")]
            tls: self.tls.take(),
            ..Self::new(config)
        };
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(&mut self, tls: Tls) {
        self.tls = Some(tls);
    }

    pub(super) fn proxies(&mut self, proxies: Proxies) {
        self.proxies = Arc::new(proxies);
    }

    pub(super) fn handshake_failures(&self) -> &HandshakeFailures {
        self.failures.failures()
    }

    pub(super) fn on_handshake_failure(
        &mut self,
        callback: impl Fn(&FailedHandshake) + Send + Sync + 'static,
    ) {
        self.failures = Arc::new(self.failures.calling(callback));
    }

    /// A connection gets no place, because its address has as many as it may have.
    pub(super) fn refuse(&self, peer: Peer) {
        self.failures.note(peer, causes::too_many_from_address());
    }

    /// The address that a connection counts for when it is accepted: not that of a proxy.
    pub(super) fn counts_for(&self, peer: Peer) -> Option<IpAddr> {
        let is_proxy = self.proxies.announces(peer) || self.proxies.forwards(peer);
        let address = peer.address().filter(|_| !is_proxy)?;
        Some(address.ip())
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// Serves a connection until it ends, is upgraded or loses its place. Whatever goes wrong here is caused by
    /// clients: what fails before a request is noted, the rest is logged at level debug.
    pub(super) async fn serve(
        self,
        accepted: Accepted,
        service: impl HttpService,
        stop: CancellationToken,
    ) {
        let Accepted {
            tcp,
            peer,
            place: guard,
        } = accepted;
        let (place, progress) = (guard.place(), Progress::new(peer));
        let failed = tokio::select! {
            // In this order: what the connection does decides whether it keeps its place.
            biased;
            ended = self.serve_stream(tcp, &progress, place, service, stop) => ended.err(),
            lost = place.lost() => match lost {
                Lost::TimedOut => Some((HandshakeFailure::TimedOut, progress.late().into())),
                Lost::PushedOut => Some(causes::pushed_out()),
                Lost::Idle => {
                    tracing::debug!(remote_addr = %peer, "closed an idle HTTP connection");
                    None
                }
            },
        };
        if let Some(failed) = failed {
            self.failures.note(progress.peer(), failed);
        }
    }

    async fn serve_stream(
        &self,
        mut tcp: TcpStream,
        progress: &Progress,
        place: &Arc<Place>,
        service: impl HttpService,
        stop: CancellationToken,
    ) -> Result<(), Failed> {
        let accepted_from = progress.peer();
        let peer = if self.proxies.announces(accepted_from) {
            progress.awaits(Awaited::ProxyHeader);
            // Boxed, so that connections without a header have no room for one.
            let client = Box::pin(self.announced(&mut tcp, accepted_from, place)).await?;
            progress.announced(client);
            client
        } else {
            accepted_from
        };
        let requested_at = Instant::now();
        let accept_info = AcceptInfo {
            peer,
            requested_at,
            arrived_at: match accepted_from {
                // The kernel does not say, and a look would take descriptors that the client may have sent.
                Peer::Unix => requested_at,
                Peer::Address(_) | Peer::Unknown => arrival::of(&tcp),
            },
            is_tls: false,
            #[cfg(feature = "tls")]
            client_certificate: None,
        };
        let _ = tcp.set_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            progress.awaits(Awaited::Tls);
            let stream = tls
                .accept(tcp)
                .await
                .map_err(|error| causes::no_tls(&error))?;
            progress.awaits(Awaited::Request);
            place.bytes_arrived();
            let accept_info = AcceptInfo {
                is_tls: true,
                client_certificate: client_certificate(&stream),
                ..accept_info
            };
            return self
                .serve_http(stream, accept_info, place, service, stop)
                .await;
        }
        self.serve_http(tcp, accept_info, place, service, stop)
            .await
    }

    /// Who the client of a proxy is, by the header that comes first.
    async fn announced(
        &self,
        tcp: &mut TcpStream,
        proxy: Peer,
        place: &Place,
    ) -> Result<Peer, Failed> {
        let address = match proxy::receive(tcp)
            .await
            .map_err(|error| causes::no_proxy_header(&error))?
        {
            Announced::Client(address) => address,
            Announced::Proxy => return Ok(proxy),
            Announced::Unknown => return Ok(Peer::Unknown),
        };
        let client = Peer::Address(address);
        // Another proxy may come first, whose requests are those of many.
        if !self.proxies.forwards(client) && !place.count_for(address.ip()) {
            return Err(causes::too_many_from_address());
        }
        Ok(client)
    }

    /// An error says that it ended, or its client left, before a request was complete.
    pub(super) async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        accept_info: AcceptInfo,
        place: &Arc<Place>,
        mut service: impl HttpService,
        stop: CancellationToken,
    ) -> Result<(), Failed> {
        let stream = HttpStream::new(stream, Arc::clone(place), self.handshake_timeout);
        let hold = stream.hold().clone();
        let mut first = true;
        let peer = accept_info.peer;
        let forwards = self.proxies.forwards(peer);
        let proxies = forwards.then(|| Arc::clone(&self.proxies));
        let may_be_upgraded = hold.clone();
        let service = service_with(move |mut request: Request<Body>| {
            if request.extensions().get::<OnUpgrade>().is_some() {
                may_be_upgraded.end();
            }
            let in_progress = place.begin_request();
            let mut accept_info = accept_info.clone();
            if let Some(proxies) = &proxies {
                let client = proxy::client(proxies, request.headers());
                accept_info.peer = client.map_or(Peer::Unknown, Peer::Address);
            }
            accept_info.requested_at = Instant::now();
            if !std::mem::take(&mut first) {
                accept_info.arrived_at = accept_info.requested_at;
            }
            #[cfg(feature = "tls")]
            if let Some(certificate) = &accept_info.client_certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            request.extensions_mut().insert(accept_info);
            respond(service.call(request), in_progress)
        });
        let connection = self
            .http1()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(Pipelined::new(connection, hold));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().connection().graceful_shutdown();
                // It may have been waiting for its client, which is not to blame.
                return connection.await.or_else(|error| {
                    log_failed(peer, &error);
                    Ok(())
                });
            }
        };
        if place.awaits_request() {
            return Err(causes::no_request(ended));
        }
        if let Err(error) = ended {
            log_failed(peer, &error);
        }
        Ok(())
    }

    fn http1(&self) -> http1::Builder {
        let mut http1 = http1::Builder::new();
        // The place has the deadlines: it tells a request that has begun from a connection that is idle.
        http1
            .header_read_timeout(None)
            .max_buf_size(self.header_size);
        if self.header_fields != HYPER_HEADER_FIELDS {
            http1.max_headers(self.header_fields);
        }
        http1
    }
}

fn log_failed(peer: Peer, error: &hyper::Error) {
    tracing::debug!(remote_addr = %peer, %error, "HTTP connection failed");
}

/// The certificate that the client has shown in the handshake.
#[cfg(feature = "tls")]
fn client_certificate(stream: &TlsStream<TcpStream>) -> Option<ClientCertificate> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    Some(ClientCertificate::new(leaf))
}

/// The response to a request, which ends with it.
async fn respond<B>(
    response: impl Future<Output = Result<Response<B>, Infallible>>,
    request: RequestInProgress,
) -> Result<Response<ResponseBody<B>>, Infallible> {
    let response = response.await?;
    let request = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        request.upgraded();
        None
    } else {
        Some(request)
    };
    Ok(response.map(|body| ResponseBody::new(body, request)))
}

/// hyper calls a service by shared reference; the requests of an HTTP/1.1 connection come one by one.
fn service_with<C, Fut, B>(
    call: C,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<B>,
    Error = Infallible,
    Future = Fut,
>
where
    C: FnMut(Request<Body>) -> Fut,
    Fut: Future<Output = Result<Response<B>, Infallible>>,
    B: hyper::body::Body,
{
    let call = std::cell::RefCell::new(call);
    service_fn(move |request: Request<Incoming>| (call.borrow_mut())(request.map(Body)))
}
