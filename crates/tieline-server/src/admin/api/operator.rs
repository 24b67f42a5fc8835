//! Who asks, as far as it is known: operators share a token.

use std::{convert::Infallible, net::SocketAddr};

use axum::{extract::FromRequestParts, http::request::Parts};
use tracing::field::{DisplayValue, display};

/// The operator who asks.
pub(super) struct Operator(Option<SocketAddr>);

impl Operator {
    /// The operator's address for a line of the log; `None` if the socket has none.
    pub(super) fn from(&self) -> Option<DisplayValue<SocketAddr>> {
        self.0.map(display)
    }

    /// The same for another node.
    pub(super) fn text(&self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tieline::client_addr(&parts.extensions)))
    }
}
