//! Listens for clients.
//!
//! Raises the descriptor limit first. Must not know TLS, which `serve` adds to the listener.

use std::{io, net::SocketAddr};

use tieline::Listener;
use tokio::net::TcpListener;

use super::systemd::PassedSockets;
use crate::config::listen::{Listen, Listeners};

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(crate) struct ListenError {
    pub(crate) address: SocketAddr,
    #[source]
    pub(crate) source: io::Error,
}

/// Listens on all of these places, in their order.
pub(super) async fn open(listeners: &Listeners) -> anyhow::Result<Vec<Listener>> {
    // Asked once: it takes what it is asked for out of the environment.
    let mut passed = None;
    let mut opened = Vec::new();
    for listen in listeners.iter() {
        match listen {
            Listen::Address(address) => opened.push(bind(*address).await?),
            Listen::Systemd(name) => {
                let passed = passed.get_or_insert_with(PassedSockets::new);
                for socket in passed.take(name.as_deref())? {
                    socket.set_nonblocking(true)?;
                    opened.push(Listener::from_tcp(TcpListener::from_std(socket)?));
                }
            }
        }
    }
    raise_descriptor_limit();
    Ok(opened)
}

pub(super) async fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
    raise_descriptor_limit();
    let listener = Listener::bind(address).await;
    listener.map_err(|source| ListenError { address, source })
}

/// Raises the descriptor limit as far as the system allows: each connection needs a descriptor.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    // If this fails, the maximum number of connections follows the current limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}
