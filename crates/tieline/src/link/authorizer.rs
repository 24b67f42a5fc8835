//! Decides on the headers of a call whether the caller may make it, before its body is read.
//!
//! Must not know what the calls do.

use std::{net::SocketAddr, sync::Arc};

use http::{Request, Response, header::AUTHORIZATION};
use hyper::body::Incoming;
use tonic::{Status, body::Body, codegen::Service, server::NamedService, service::Routes};

use super::{
    caller::{Caller, Warnings},
    inbound::{CompatService, LinkService},
    proto::{link_server::LinkServer, websocket::websocket_server::WebsocketServer},
    security::Trust,
};

/// Who a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerKind {
    /// A peer, for a service that only peers may call.
    Peer,
    /// Anyone, for a service that discloses nothing sensitive: health, reflection.
    Anyone,
}

/// Guards the services of a peer server.
#[derive(Clone)]
pub(super) struct Authorizer {
    pub(super) routes: Routes,
    pub(super) trust: Arc<Trust>,
    /// Whether the unary service accepts calls without the secret.
    pub(super) open_unary: bool,
    pub(super) warnings: Arc<Warnings>,
}

impl Authorizer {
    /// Checks that the caller may call the service that the request names.
    pub(super) fn authorize(&self, request: &Request<Incoming>) -> Result<CallerKind, Status> {
        let service = request.uri().path().split('/').nth(1);
        let needs_secret = match service.unwrap_or_default() {
            LinkServer::<LinkService>::NAME => true,
            WebsocketServer::<CompatService>::NAME => !self.open_unary,
            _ => return Ok(CallerKind::Anyone),
        };
        if needs_secret {
            let header = request.headers().get(AUTHORIZATION);
            self.trust.check(header.map(AsRef::as_ref))?;
        }
        Ok(CallerKind::Peer)
    }

    /// Passes an authorized request to its service, or responds with the reason for the refusal.
    pub(super) async fn call(
        mut self,
        mut request: Request<Incoming>,
        authorized: Result<CallerKind, Status>,
        from: SocketAddr,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        if let Err(status) = authorized {
            self.warnings.warn(from, &status.message());
            let (parts, ()) = status.into_http::<()>().into_parts();
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        request.extensions_mut().insert(Caller(from));
        self.routes.call(request).await
    }
}
