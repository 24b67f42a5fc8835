//! The opening handshake, server side (RFC 6455, section 4.2).
//!
//! Owns the checks of an upgrade request and the answer to it, as `http` types: whoever parses
//! HTTP hands over method, version and headers. It must not know origins, paths, authorisation or
//! policies; those are the server's. Invariant: a [`Request`] that exists passed every check, so
//! answering it cannot fail.

mod error;
mod extensions;
mod request;
mod tokens;

#[cfg(test)]
mod tests;

pub use error::HandshakeError;
pub use request::Request;
