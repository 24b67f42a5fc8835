//! The listener: TCP or a Unix socket, optional TLS, HTTP/1.1.
//!
//! Owns accepting and the limits that hold before an upgrade. Must not know what is served: any
//! [`HttpService`]. Invariants: an error of `accept` never ends the loop; a connection that sends no complete
//! request head within the handshake timeout is closed, sooner if others need its place.

mod accept;
mod accept_info;
mod arrival;
mod body;
mod causes;
#[cfg(feature = "tls")]
mod client_certificate;
mod handshake_failure;
mod http1;
mod http_stream;
#[cfg(feature = "testing")]
mod in_memory;
mod incoming;
mod network;
mod peer;
mod pipelining;
mod places;
mod progress;
mod proxy;
mod service;
#[cfg(feature = "tls")]
mod tls;
mod wait;

#[cfg(feature = "testing")]
pub(crate) use self::in_memory::serve_in_memory;
pub use self::{
    accept::Listener,
    accept_info::client_addr,
    body::{Body, BodyError},
    handshake_failure::{FailedHandshake, HandshakeFailure, HandshakeFailures},
    network::{Network, NetworkError},
    proxy::{ForwardedHeader, Proxies},
    service::HttpService,
};
pub(crate) use self::{accept_info::AcceptInfo, http_stream::HttpStream};
#[cfg(feature = "tls")]
pub use self::{
    client_certificate::ClientCertificate,
    tls::{ClientAuth, Tls, TlsCertificate, TlsConfig, TlsError},
};
