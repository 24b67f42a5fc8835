//! A connection without a socket, for tests of applications.
//!
//! Owns nothing: from HTTP on, everything is as for a TCP connection.

use std::net::SocketAddr;

use tokio::{io::DuplexStream, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{accept_info::AcceptInfo, http1::Server, peer::Peer, service::HttpService};
use crate::config::Config;

/// Serves a stream until it ends or is upgraded, with the default limits on headers.
pub(crate) async fn serve_in_memory(
    stream: DuplexStream,
    remote_addr: SocketAddr,
    service: impl HttpService,
) {
    let server = Server::new(&Config::default());
    let Some(guard) = server.places().take(Some(remote_addr.ip())).await else {
        return;
    };
    let now = Instant::now();
    let accept_info = AcceptInfo {
        peer: Peer::Address(remote_addr),
        requested_at: now,
        arrived_at: now,
        is_tls: false,
        #[cfg(feature = "tls")]
        client_certificate: None,
    };
    let place = guard.place();
    let never = CancellationToken::new();
    // Whoever has the other end sees how it ends.
    let _ = server
        .serve_http(stream, accept_info, place, service, never)
        .await;
}
