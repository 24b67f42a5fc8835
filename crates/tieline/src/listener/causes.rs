//! Why a handshake has failed, by how its connection ended.
//!
//! Owns the difference between a client that left and one that did something wrong, and the words for both. Must not
//! know who is told.

use std::io;

use super::handshake_failure::{Failed, HandshakeFailure};

/// Why there is no request, by how the connection has ended.
pub(super) fn no_request(ended: hyper::Result<()>) -> Failed {
    match ended {
        Err(error) if error.is_parse() => (HandshakeFailure::Request, error.to_string().into()),
        _ => left("the client has closed the connection before a complete request"),
    }
}

#[cfg(feature = "tls")]
pub(super) fn no_tls(error: &io::Error) -> Failed {
    if is_end(error) {
        return left("the client has closed the connection before the end of the TLS handshake");
    }
    (HandshakeFailure::Tls, error.to_string().into())
}

pub(super) fn no_proxy_header(error: &io::Error) -> Failed {
    if is_end(error) {
        return left(
            "the connection was closed before the end of the header of the PROXY protocol",
        );
    }
    (HandshakeFailure::ProxyHeader, error.to_string().into())
}

fn left(error: &'static str) -> Failed {
    (HandshakeFailure::Left, error.into())
}

/// Whether the client has closed its connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}

pub(super) fn pushed_out() -> Failed {
    let error = "another connection needed its place, and it had waited longest for its client";
    (HandshakeFailure::PushedOut, error.into())
}

pub(super) fn too_many_from_address() -> Failed {
    let error = "its address has as many connections without an upgrade as it may have";
    (HandshakeFailure::TooManyFromAddress, error.into())
}
