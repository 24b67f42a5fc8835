//! Taking the raw socket from the HTTP server.
//!
//! Owns the list of stream types that can be unwrapped. Must not know the connection.

use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};
#[cfg(feature = "testing")]
use tokio::io::DuplexStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, tcp::OwnedWriteHalf},
};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

#[cfg(feature = "tls")]
use super::tls::TlsSocket;
use super::{read_buffer::ReadBuffer, stream::Stream};
use crate::listener::HttpStream;

/// Takes the socket, and what was read beyond the request, so that the HTTP server's buffers are freed.
///
/// Our own listener serves TCP and TLS, `axum::serve` TCP behind hyper-util's wrapper. Any other stream
/// stays inside hyper's wrapper.
pub(crate) fn take_socket(upgraded: Upgraded) -> (Stream, Option<OwnedWriteHalf>, ReadBuffer) {
    let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TcpStream>>>() {
        Ok(parts) => return tcp(parts.io.into_inner().into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "tls")]
    let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TlsStream<TcpStream>>>>() {
        Ok(parts) => return tls(parts.io.into_inner().into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "testing")]
    let upgraded = match upgraded.downcast::<TokioIo<HttpStream<DuplexStream>>>() {
        Ok(parts) => return in_memory(parts.io.into_inner().into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => tcp(parts.io.into_inner(), &parts.read_buf),
        Err(upgraded) => foreign(TokioIo::new(upgraded)),
    }
}

fn foreign(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> (Stream, Option<OwnedWriteHalf>, ReadBuffer) {
    let (stream, writer) = Stream::foreign(stream);
    (stream, writer, ReadBuffer::default())
}

/// The stream of a test client, without the timer that HTTP sets on writes.
#[cfg(feature = "testing")]
fn in_memory(stream: DuplexStream, early: &[u8]) -> (Stream, Option<OwnedWriteHalf>, ReadBuffer) {
    let (stream, writer) = Stream::foreign(stream);
    (stream, writer, ReadBuffer::copy_of(early))
}

#[cfg(feature = "tls")]
fn tls(stream: TlsStream<TcpStream>, early: &[u8]) -> (Stream, Option<OwnedWriteHalf>, ReadBuffer) {
    let (stream, writer) = Stream::tls(TlsSocket::new(stream));
    (stream, writer, ReadBuffer::copy_of(early))
}

fn tcp(socket: TcpStream, early: &[u8]) -> (Stream, Option<OwnedWriteHalf>, ReadBuffer) {
    let (stream, writer) = Stream::tcp(socket);
    (stream, writer, ReadBuffer::copy_of(early))
}
