//! The listening socket of the bare server.

use std::{io, net::SocketAddr};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

/// Handshakes that may wait to be accepted; the kernel has a bound of its own. Where they overflow,
/// what is measured is how soon TCP sends a SYN again.
const BACKLOG: i32 = 4096;

/// Listens, without blocking.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}
