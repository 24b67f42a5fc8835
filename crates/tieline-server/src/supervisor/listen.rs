//! Listens for clients.
//!
//! Raises the descriptor limit first. Must not know certificates, which `serve` adds to the listeners.

use std::{error::Error, io, net::SocketAddr};

use tieline::Listener;
use tokio::net::{TcpListener, UnixListener};

use super::{
    systemd::{Passed, PassedSockets},
    unix_socket::{self, SocketFile, UnixError},
};
use crate::config::{
    listen::{Listen, Listeners},
    unix_socket::UnixSocket,
};

/// A listener, and what is to be known of it.
pub(super) struct Port {
    /// The file of its Unix socket. Before the listener: fields are dropped in this order.
    pub(super) file: Option<SocketFile>,
    pub(super) listener: Listener,
    /// Where clients connect: an address, or `unix:` and a path.
    pub(super) place: String,
}

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {place}")]
pub(crate) struct ListenError {
    pub(crate) place: String,
    #[source]
    source: Box<dyn Error + Send + Sync>,
    /// What to do, apart from another place.
    pub(crate) remedy: &'static str,
}

/// Listens on all of these places, in their order. With each comes whether its clients speak TLS, if the node has a
/// certificate or not.
pub(super) async fn open(
    listeners: &Listeners,
    has_certificate: bool,
) -> anyhow::Result<Vec<(Port, bool)>> {
    // Asked once: it takes what it is asked for out of the environment.
    let mut passed = None;
    let mut opened = Vec::new();
    for listen in listeners.iter() {
        let is_tls = listen.is_tls(has_certificate);
        match listen {
            Listen::Address(address, _) => opened.push((bind(*address).await?, is_tls)),
            Listen::Unix(socket) => opened.push((bind_unix(socket)?, is_tls)),
            Listen::Systemd(name) => {
                let passed = passed.get_or_insert_with(PassedSockets::new);
                for socket in passed.take(name.as_deref())? {
                    let is_tls = is_tls && matches!(socket, Passed::Tcp(_));
                    opened.push((adopt(socket)?, is_tls));
                }
            }
        }
    }
    raise_descriptor_limit();
    Ok(opened)
}

pub(super) async fn bind(address: SocketAddr) -> Result<Port, ListenError> {
    raise_descriptor_limit();
    let bound = Listener::bind(address).await;
    let listener = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = listener.map_err(|source| ListenError {
        place: address.to_string(),
        source: source.into(),
        remedy: "",
    })?;
    Ok(Port {
        listener,
        place: bound.to_string(),
        file: None,
    })
}

/// To be called on the runtime that serves it.
pub(super) fn bind_unix(socket: &UnixSocket) -> Result<Port, ListenError> {
    raise_descriptor_limit();
    let failed = |error: UnixError| ListenError {
        place: socket.place(),
        remedy: error.remedy(),
        source: error.into(),
    };
    let (listener, file) = unix_socket::open(socket).map_err(failed)?;
    let listener = UnixListener::from_std(listener);
    let listener = listener.map_err(|error| failed(error.into()))?;
    Ok(Port {
        listener: Listener::from_unix(listener),
        place: socket.place(),
        file: Some(file),
    })
}

/// Serves a socket of systemd, which also removes the file of a Unix socket.
fn adopt(socket: Passed) -> io::Result<Port> {
    let (listener, place) = match socket {
        Passed::Tcp(tcp) => {
            tcp.set_nonblocking(true)?;
            let place = tcp.local_addr()?.to_string();
            (Listener::from_tcp(TcpListener::from_std(tcp)?), place)
        }
        Passed::Unix(unix) => {
            unix.set_nonblocking(true)?;
            let address = unix.local_addr()?;
            let path = address.as_pathname().unwrap_or("".as_ref());
            let place = format!("unix:{}", path.display());
            (Listener::from_unix(UnixListener::from_std(unix)?), place)
        }
    };
    Ok(Port {
        listener,
        place,
        file: None,
    })
}

/// Raises the descriptor limit as far as the system allows: each connection needs a descriptor.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    // If this fails, the maximum number of connections follows the current limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}
