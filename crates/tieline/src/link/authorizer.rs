//! Who may call what on the port: decided on a request's headers, before its body is read.
//!
//! Owns the check of the secret and the warnings about those refused. Must not know what calls do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response, header::AUTHORIZATION};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Status, body::Body, codegen::Service, server::NamedService, service::Routes};

use super::{
    inbound::{CompatService, LinkService},
    proto::{link_server::LinkServer, websocket::websocket_server::WebsocketServer},
    security::Trust,
};

/// The way to the port's services.
#[derive(Clone)]
pub(super) struct Authorizer {
    pub(super) routes: Routes,
    pub(super) trust: Arc<Trust>,
    /// Whether the unary service answers without the secret.
    pub(super) open_unary: bool,
    pub(super) warnings: Arc<Warnings>,
}

impl Authorizer {
    /// Whether a request is a peer's: one that is let in, for what peers ask. Health and reflection tell a
    /// stranger nothing that matters.
    pub(super) fn admit(&self, request: &Request<Incoming>) -> Result<bool, Status> {
        let service = request.uri().path().split('/').nth(1);
        let wants_secret = match service.unwrap_or_default() {
            LinkServer::<LinkService>::NAME => true,
            WebsocketServer::<CompatService>::NAME => !self.open_unary,
            _ => return Ok(false),
        };
        if wants_secret {
            let shown = request.headers().get(AUTHORIZATION);
            self.trust.check(shown.map(AsRef::as_ref))?;
        }
        Ok(true)
    }

    /// Answers a request that was let in, or says why it was not.
    pub(super) async fn call(
        mut self,
        mut request: Request<Incoming>,
        admitted: Result<bool, Status>,
        from: SocketAddr,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        if let Err(status) = admitted {
            self.warnings.warn(from, &status.message());
            let (parts, ()) = status.into_http::<()>().into_parts();
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        request.extensions_mut().insert(Caller(from));
        self.routes.call(request).await
    }
}

/// Whose connection a request came on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(SocketAddr);

impl Caller {
    pub(super) fn of(extensions: &tonic::Extensions) -> SocketAddr {
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        extensions.get::<Self>().map_or(unknown, |caller| caller.0)
    }
}

/// Warnings of what strangers do: a line a second at most, so that nobody can fill the log.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<Option<Instant>>);

impl Warnings {
    pub(super) fn warn(&self, from: SocketAddr, why: &dyn std::fmt::Display) {
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            *last = Some(Instant::now());
            tracing::warn!(%from, %why, "refused on the peer port");
        }
    }
}
