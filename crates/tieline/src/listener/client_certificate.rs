//! The certificate that a client has proven to have.
//!
//! A plain value, passed to the application. Must not know what the application reads in it.

use std::{fmt, sync::Arc};

/// The certificate of a client, which [`ClientAuth`](crate::ClientAuth) has accepted: its authorities signed it, it
/// is valid now, and the client has the key. From
/// [`UpgradeRequest::client_certificate`](crate::UpgradeRequest::client_certificate); with another route of an axum
/// router, it is an extension of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate(Arc<[u8]>);

impl ClientCertificate {
    pub(super) fn new(der: &[u8]) -> Self {
        Self(der.into())
    }

    /// The certificate itself (X.509, in DER), for a parser of your choice.
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

/// Without names, which may be those of people.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}
