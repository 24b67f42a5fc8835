//! The opening handshake, server side (RFC 6455, section 4.2).
//!
//! Owns the checks of an upgrade request and the response, as types of the crate `http`: pass it the
//! method, version and headers of a parsed request. It must not know origins, paths, authorisation or
//! policies; those are the server's. Invariant: a [`Request`] has passed every check, so responding
//! to it cannot fail.
//!
//! ```
//! use tieline_websocket::handshake::{HandshakeError, Request};
//!
//! // A browser opens the URL as a page.
//! let mut headers = http::HeaderMap::new();
//! headers.insert("host", http::HeaderValue::from_static("example.com"));
//! let error = Request::parse(&http::Method::GET, http::Version::HTTP_11, &headers).unwrap_err();
//! assert_eq!(error, HandshakeError::NotAnUpgrade);
//! assert_eq!(error.response().status(), 426);
//! ```

mod error;
mod extensions;
mod request;
mod tokens;

#[cfg(test)]
mod tests;

pub use error::HandshakeError;
pub use request::Request;
