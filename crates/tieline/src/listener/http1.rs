//! One HTTP/1.1 connection, until it ends or is upgraded.
//!
//! Owns the limits of headers, handshake time and concurrent handshakes. Must not know what is served.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "tls")]
use super::tls::Tls;
use super::{
    accept_info::AcceptInfo, arrival, body::Body, service::HttpService, write_timeout::WriteTimeout,
};
use crate::config::Config;

/// The settings by which connections are served before an upgrade.
#[derive(Debug, Clone)]
pub(super) struct Server {
    header_size: usize,
    header_fields: usize,
    handshake_timeout: Duration,
    /// One permit for each connection that is not upgraded.
    handshakes: Arc<Semaphore>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            header_size: config.header_size,
            header_fields: config.header_fields,
            handshake_timeout: config.handshake_timeout,
            handshakes: Arc::new(Semaphore::new(config.handshakes())),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    pub(super) fn limits(&mut self, config: &Config) {
        self.header_size = config.header_size;
        self.header_fields = config.header_fields;
        self.handshake_timeout = config.handshake_timeout;
        self.handshakes = Arc::new(Semaphore::new(config.handshakes()));
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(&mut self, tls: Tls) {
        self.tls = Some(tls);
    }

    /// Waits until one more connection may be accepted. Cancel-safe.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.handshakes).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// Serves a connection. Errors here are caused by clients, and logged at level debug.
    pub(super) async fn serve(
        self,
        tcp: TcpStream,
        remote_addr: SocketAddr,
        service: impl HttpService,
        stop: CancellationToken,
    ) {
        let accept_info = AcceptInfo {
            remote_addr,
            started_at: Instant::now(),
            arrived_at: arrival::of(&tcp),
        };
        let _ = tcp.set_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let deadline = accept_info.started_at + self.handshake_timeout;
            match tokio::time::timeout_at(deadline, tls.accept(tcp)).await {
                Ok(Ok(stream)) => self.serve_stream(stream, accept_info, service, stop).await,
                Ok(Err(error)) => tracing::debug!(%remote_addr, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%remote_addr, "TLS handshake timed out"),
            }
            return;
        }
        self.serve_stream(tcp, accept_info, service, stop).await;
    }

    async fn serve_stream(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        accept_info: AcceptInfo,
        service: impl HttpService,
        stop: CancellationToken,
    ) {
        let mut first = true;
        let mut service = service;
        let service = service_with(move |mut request: Request<Body>| {
            let mut accept_info = accept_info;
            if !std::mem::take(&mut first) {
                accept_info.started_at = Instant::now();
                accept_info.arrived_at = accept_info.started_at;
            }
            request.extensions_mut().insert(accept_info);
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.handshake_timeout)
            .max_headers(self.header_fields)
            .max_buf_size(self.header_size)
            .serve_connection(
                TokioIo::new(WriteTimeout::new(stream, self.handshake_timeout)),
                service,
            )
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(remote_addr = %accept_info.remote_addr, %error, "HTTP connection failed");
        }
    }
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
