//! Listens for clients.
//!
//! Raises the descriptor limit first. Must not know TLS, which `serve` adds to the listener.

use std::{io, net::SocketAddr};

use tieline::Listener;

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(crate) struct ListenError {
    pub(crate) address: SocketAddr,
    #[source]
    pub(crate) source: io::Error,
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
