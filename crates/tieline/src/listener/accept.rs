//! Accepting TCP connections, until shutdown.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "tls")]
use super::Tls;
use super::{HttpService, arrival, http1::Server};
use crate::Config;

/// Pause after an error of `accept` that the next call would meet again, such as EMFILE: long enough
/// for descriptors to come free, short enough for the backlog.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that wait to be accepted. With 128, which is usual, 1,000 clients that came back 200 at a time
/// overflowed it, and some waited a second for TCP to try again: 1,371 connections a second instead of
/// 13,571.
const BACKLOG: u32 = 4096;

/// At most one warning in this time.
const WARN_PAUSE: Duration = Duration::from_secs(1);

/// Listens on a TCP port and serves HTTP/1.1, for upgrades and whatever else the service offers.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    server: Server,
}

impl Listener {
    /// Listens on an address; port 0 takes a free one. Up to 4,096 connections may wait to be accepted, or
    /// as many as the system lets (Linux: `net.core.somaxconn`).
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failed = None;
        for address in lookup_host(address).await? {
            match listen(address) {
                Ok(tcp) => return Ok(Self::from_tcp(tcp)),
                Err(error) => failed = Some(error),
            }
        }
        let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        Err(failed.unwrap_or_else(nothing))
    }

    /// Takes a socket that listens already.
    pub fn from_tcp(tcp: TcpListener) -> Self {
        arrival::note(&tcp);
        Self {
            tcp,
            server: Server::new(&Config::default()),
        }
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Takes header limits and handshake timeout from a configuration instead of the defaults.
    pub fn limits(mut self, config: &Config) -> Self {
        self.server.limits(config);
        self
    }

    /// Serves TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.server.tls(tls);
        self
    }

    /// Accepts and serves until `shutdown`; then accepts no more, lets requests that are under way end,
    /// and returns. Connections that were upgraded are the node's, and go on.
    pub async fn serve(self, service: impl HttpService, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut shutdown = pin!(shutdown);
        let mut warned = None;
        loop {
            let next = async {
                let permit = self.server.permit().await;
                (permit, accept(&self.tcp, &mut warned).await)
            };
            let (permit, (tcp, remote_addr)) = tokio::select! {
                () = &mut shutdown => break,
                next = next => next,
            };
            let (server, service, stop) = (self.server.clone(), service.clone(), stop.clone());
            tasks.spawn(async move {
                server.serve(tcp, remote_addr, service, stop).await;
                drop(permit);
            });
        }
        drop(self.tcp);
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(self.server.handshake_timeout(), tasks.wait()).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the last connections of before; on Windows it would share the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts one connection, whatever it takes. Cancel-safe.
async fn accept(tcp: &TcpListener, warned: &mut Option<Instant>) -> (TcpStream, SocketAddr) {
    loop {
        match tcp.accept().await {
            Ok(accept_info) => return accept_info,
            // The peer gave up while it waited: the next one may be fine.
            Err(e) if is_of_peer(&e) => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() > WARN_PAUSE) {
                    *warned = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept; trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
