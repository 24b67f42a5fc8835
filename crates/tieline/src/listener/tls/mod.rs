//! TLS for the listener, by rustls.
//!
//! Owns the certificates, their keys, and whom clients' certificates are checked against. Knows no HTTP beyond
//! its name in ALPN. Invariant: what replaces them is checked before anything changes, and a handshake sees one
//! state of them.

mod api;
mod config;
mod selection;

pub use self::{
    api::Tls,
    config::{ClientAuth, TlsCertificate, TlsConfig, TlsError},
};
