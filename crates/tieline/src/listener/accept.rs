//! Accepting connections, until shutdown.
//!
//! Owns the listening socket and the tasks of connections that are not upgraded yet.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "tls")]
use super::tls::Tls;
use super::{
    arrival,
    handshake_failure::{FailedHandshake, HandshakeFailures},
    http1::{Accepted, Server},
    incoming::Incoming,
    peer::Peer,
    proxy::Proxies,
    service::HttpService,
};
use crate::config::{Config, ConfigError};

/// Pause after an error of `accept` that the next call would repeat, such as EMFILE: long enough for
/// descriptors to become free, short enough for the backlog.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that may wait to be accepted. The usual 128 overflows when many clients reconnect at once;
/// those that do not fit wait a second until TCP tries again.
const BACKLOG: u32 = 4096;

/// The shortest time between two warnings.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// A listener that serves HTTP/1.1, optionally with TLS, to any [`HttpService`]: on a TCP port, or on a Unix socket.
///
/// [`Node::serve`](crate::Node::serve) and [`Node::serve_service`](crate::Node::serve_service) run it;
/// [`Listener::serve`] runs it without a node.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use tieline::Listener;
///
/// let listener = Listener::bind("127.0.0.1:0").await?;
/// println!("ws://{}/", listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    incoming: Incoming,
    server: Server,
}

impl Listener {
    /// Listens on an address; port 0 picks a free port. Up to 4,096 connections may wait to be accepted, or
    /// fewer if the system limits it (Linux: `net.core.somaxconn`).
    ///
    /// # Errors
    /// If the name cannot be resolved, or none of its addresses can be bound.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failed = None;
        for address in lookup_host(address).await? {
            match listen(address) {
                Ok(tcp) => return Ok(Self::from_tcp(tcp)),
                Err(error) => failed = Some(error),
            }
        }
        let nothing =
            || io::Error::new(io::ErrorKind::InvalidInput, "the host name has no address");
        Err(failed.unwrap_or_else(nothing))
    }

    /// Uses a socket that is listening already.
    pub fn from_tcp(tcp: TcpListener) -> Self {
        arrival::enable(&tcp);
        Self::new(Incoming::Tcp(tcp))
    }

    /// Uses a Unix socket, such as one for a proxy on this machine. Its clients have no address, and count for none,
    /// unless [`Proxies`] believe the proxy about them. In a cluster, a connection counts as arriving when it is
    /// accepted. The file of the socket is yours: it outlives the listener until you remove it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use tieline::Listener;
    /// use tokio::net::UnixListener;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("clients.sock");
    /// let listener = Listener::from_unix(UnixListener::bind(path)?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn from_unix(unix: tokio::net::UnixListener) -> Self {
        Self::new(Incoming::Unix(unix))
    }

    fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            server: Server::new(&Config::default()),
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// If it is a Unix socket, or the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.incoming.local_addr()
    }

    /// Takes the limits of HTTP connections from a configuration instead of the defaults: those of headers,
    /// `handshake_timeout`, `http_idle_timeout`, `max_handshakes` and `max_handshakes_per_address`.
    /// [`Node::serve_service`](crate::Node::serve_service) does it.
    ///
    /// # Errors
    /// If [`Config::validate`] fails.
    pub fn limits(self, config: &Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(self.valid_limits(config))
    }

    /// As [`Listener::limits`], from a configuration that was validated.
    pub(crate) fn valid_limits(mut self, config: &Config) -> Self {
        self.server.limits(config);
        self
    }

    /// Believes these proxies when they say who their client is. Everything that has an address of a client then has
    /// that one: [`UpgradeRequest::remote_addr`](crate::UpgradeRequest::remote_addr),
    /// [`Connection::remote_addr`](crate::Connection::remote_addr), logs, and
    /// [`Config::max_handshakes_per_address`](crate::Config::max_handshakes_per_address) (with the PROXY protocol;
    /// connections from `forwarded` networks carry the requests of many clients and are not counted).
    ///
    /// The header of the PROXY protocol comes before TLS, and has to arrive within
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.server.proxies(proxies);
        self
    }

    /// How many handshakes fail from now on, and why. It can be asked while the listener serves.
    pub fn handshake_failures(&self) -> HandshakeFailures {
        self.server.handshake_failures().clone()
    }

    /// Calls back for each handshake that fails: a connection that ends before its request was complete, so that
    /// nobody else learns of it. The failure counts once the callback has returned. A second call replaces the
    /// callback. Without one, each is logged at debug.
    ///
    /// It is called by the task of the connection, or that which accepts them: it must be quick and must not block.
    /// Strangers decide how often, so bound what you keep. Connections whose handshake succeeds pay nothing. A panic is
    /// caught and logged.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use tieline::{HandshakeFailure, Listener};
    ///
    /// let listener = Listener::bind("127.0.0.1:0").await?.on_handshake_failure(|failed| {
    ///     if failed.failure == HandshakeFailure::Tls {
    ///         eprintln!("TLS with {:?} failed: {}", failed.remote_addr, failed.error);
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_handshake_failure(
        mut self,
        callback: impl Fn(&FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        self.server.on_handshake_failure(callback);
        self
    }

    /// Serves TLS instead of plain HTTP.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.server.tls(tls);
        self
    }

    /// Accepts and serves until `shutdown`. Then it closes the port, waits up to
    /// [`Config::handshake_timeout`] for requests in progress, and returns. Upgraded connections belong to
    /// the node and continue.
    pub async fn serve(self, service: impl HttpService, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut shutdown = pin!(shutdown);
        let mut warned = None;
        loop {
            let next = async {
                let (tcp, peer) = accept(&self.incoming, &mut warned).await;
                let address = self.server.counts_for(peer);
                let Some(place) = self.server.places().take(address).await else {
                    self.server.refuse(peer);
                    return None;
                };
                Some(Accepted { tcp, peer, place })
            };
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                next = next => next,
            };
            // Without a place, its address has as many connections as it may have.
            if let Some(accepted) = accepted {
                let server = self.server.clone();
                tasks.spawn(server.serve(accepted, service.clone(), stop.clone()));
            }
        }
        drop(self.incoming);
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
    // A restart must not wait for old connections in TIME_WAIT; on Windows the option would share the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts one connection, retrying after errors. Cancel-safe.
async fn accept(incoming: &Incoming, warned: &mut Option<Instant>) -> (TcpStream, Peer) {
    loop {
        match incoming.accept().await {
            Ok(accepted) => return accepted,
            // The client gave up while it waited; the next one may be fine.
            Err(e) if is_client_error(&e) => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() > WARN_INTERVAL) {
                    *warned = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept connections; retrying");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
