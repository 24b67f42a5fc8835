//! Decides on the headers of a call whether the caller may make it, before its body is read.
//!
//! Must not know what the calls do.

use std::sync::Arc;

use http::{Request, Response, header::AUTHORIZATION};
use hyper::body::Incoming;
use tonic::{Status, body::Body, codegen::Service, server::NamedService, service::Routes};

use super::{
    caller::{Caller, Warnings},
    inbound::CompatService,
    proto::websocket::websocket_server::WebsocketServer,
    security::Trust,
};

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
    /// Checks that the caller may call the service that the request names. Links prove the secret in their
    /// greeting. Health and reflection disclose nothing sensitive, and their callers stay strangers.
    fn authorize(&self, request: &Request<Incoming>, caller: &Caller) -> Result<(), Status> {
        let service = request.uri().path().split('/').nth(1);
        if service != Some(WebsocketServer::<CompatService>::NAME) {
            return Ok(());
        }
        if !self.open_unary {
            let header = request.headers().get(AUTHORIZATION);
            self.trust.check(header.map(AsRef::as_ref))?;
        }
        caller.admit()
    }

    /// Passes an authorized request to its service, or responds with the reason for the refusal.
    pub(super) async fn call(
        mut self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        if let Err(status) = self.authorize(&request, &caller) {
            self.warnings.warn(caller.from, &status.message());
            let (parts, ()) = status.into_http::<()>().into_parts();
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        request.extensions_mut().insert(caller);
        self.routes.call(request).await
    }
}
