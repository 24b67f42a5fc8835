//! The raw socket, out of the HTTP server's hands.

use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::net::{TcpStream, tcp::OwnedWriteHalf};

use crate::{connection::Stream, scratch::Chunk};

/// Takes the socket and what was read beyond the request, so that the HTTP server's buffers go.
///
/// Our own listener and `axum::serve` both serve plain TCP, the latter behind hyper-util's wrapper. Any
/// other stream, TLS among them, stays behind hyper's.
pub(crate) fn detach(upgraded: Upgraded) -> (Stream, Option<OwnedWriteHalf>, Chunk) {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return tcp(parts.io, &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => tcp(parts.io, &parts.read_buf),
        Err(upgraded) => {
            let (stream, writer) = Stream::other(TokioIo::new(upgraded));
            (stream, writer, Chunk::default())
        }
    }
}

fn tcp(io: TokioIo<TcpStream>, early: &[u8]) -> (Stream, Option<OwnedWriteHalf>, Chunk) {
    let (stream, writer) = Stream::tcp(io.into_inner());
    (stream, writer, Chunk::copy_of(early))
}
