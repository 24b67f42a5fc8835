//! An upgrade, from the check of the request to the start of the connection.

use std::net::SocketAddr;

use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use tieline_websocket::handshake::HandshakeError;
use tokio::time::Instant;

use super::{Accept, Refusal, UpgradeRequest, origin, register as cluster};
use crate::{
    ClientId, Config, Handler, Hub, Node,
    hub::{ConnectionGuard, ConnectionInfo, ConnectionOptions, RegisterError},
    id,
    listener::AcceptInfo,
};

const DRAINING: &str = "the node is draining; connect again\n";

/// A checked upgrade request that waits for the application's decision.
///
/// With an own axum router it is an extractor (feature `axum`); [`Node::service`] makes it for those
/// who have none.
#[derive(Debug)]
pub struct Upgrade {
    request: UpgradeRequest,
    socket: OnUpgrade,
    begun: Instant,
    arrived: Instant,
}

impl Upgrade {
    /// Checks a request. Takes the HTTP server's upgrade out of the request's extensions.
    pub fn from_parts(parts: &mut Parts) -> Result<Self, Refusal> {
        let accept_info = parts.extensions.get::<AcceptInfo>().copied();
        let remote_addr = accept_info
            .map(|a| a.remote_addr)
            .or_else(|| connect_info_addr(parts));
        let request = UpgradeRequest::new(parts, remote_addr)?;
        let socket = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "this HTTP connection cannot be upgraded\n",
            )
        })?;
        let now = Instant::now();
        Ok(Self {
            request,
            socket,
            begun: accept_info.map_or(now, |a| a.started_at),
            arrived: accept_info.map_or(now, |a| a.arrived_at),
        })
    }

    /// The request: headers, query, peer.
    pub fn request(&self) -> &UpgradeRequest {
        &self.request
    }

    /// Accepts: the answer to send, 101 or the reason why not: 403 for a foreign origin, 400 for a
    /// name out of bounds, 409 for a duplicate id under [`Duplicate::Reject`](crate::Duplicate), 503
    /// while draining or full, while the cluster has a newer connection with that id, or when the
    /// decision took longer than
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    pub async fn accept<H: Handler>(
        self,
        node: &Node<H>,
        accept: Accept<H::State>,
    ) -> Response<String> {
        self.try_accept(node, accept)
            .await
            .unwrap_or_else(Refusal::into_http)
    }

    async fn try_accept<H: Handler>(
        self,
        node: &Node<H>,
        accept: Accept<H::State>,
    ) -> Result<Response<String>, Refusal> {
        // From here on a drain waits for this upgrade, whatever comes of it.
        let _tracked = node.track();
        let hub = node.hub();
        self.check(hub.config(), node.is_draining())?;
        let handshake = &self.request.handshake;
        let deflate = hub.config().compression.is_some() && handshake.offers_deflate();
        let mut response = handshake
            .respond(accept.subprotocol.as_deref(), deflate)
            .map(|()| String::new());
        for (name, value) in accept.headers {
            response.headers_mut().append(name, value);
        }

        let agreed = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        let info = ConnectionInfo {
            id: accept.id.unwrap_or_else(ClientId::random),
            user: accept.user,
            groups: accept.groups,
            subprotocol: agreed.and_then(|p| p.to_str().ok()).map(Box::from),
            remote_addr: self.request.remote_addr,
        };
        check_info(&info, hub.config())?;
        let options = ConnectionOptions {
            first_message: accept.first,
            final_message: accept.final_message,
            deflate,
        };
        let guard = register(hub, info, options)?;
        cluster::claim(node, &guard, self.arrived).await?;
        if node.is_draining() {
            // The drain began meanwhile, and may not have seen this connection.
            return Err(unavailable(DRAINING));
        }
        let deadline = self.begun + hub.config().handshake_timeout;
        node.start(guard, accept.state, deflate, self.socket, deadline);
        Ok(response)
    }

    fn check(&self, config: &Config, draining: bool) -> Result<(), Refusal> {
        if draining {
            return Err(unavailable(DRAINING));
        }
        if self.begun.elapsed() > config.handshake_timeout {
            return Err(unavailable("the handshake took too long; connect again\n"));
        }
        if !origin::allowed(&config.origins, &self.request) {
            let body = "pages of this origin may not connect; the server's operator can allow it \
                        (Config::origins, tieline serve --origin)\n";
            return Err(Refusal::new(StatusCode::FORBIDDEN, body));
        }
        Ok(())
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        let (parts, body) = error.response().into_parts();
        let named = parts
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)));
        named.fold(Self::new(parts.status, body), |refusal, (name, value)| {
            refusal.header(name, value)
        })
    }
}

fn check_info(info: &ConnectionInfo, config: &Config) -> Result<(), Refusal> {
    let bad = |what: String| Refusal::new(StatusCode::BAD_REQUEST, what);
    if let Some(user) = &info.user {
        id::check(user).map_err(|e| bad(format!("user: {e}\n")))?;
    }
    for group in &info.groups {
        id::check(group).map_err(|e| bad(format!("group: {e}\n")))?;
    }
    if info.groups.len() > config.groups_per_connection {
        let limit = config.groups_per_connection;
        return Err(bad(format!(
            "{} groups, the limit is {limit}\n",
            info.groups.len()
        )));
    }
    Ok(())
}

fn register(
    hub: &Hub,
    info: ConnectionInfo,
    options: ConnectionOptions,
) -> Result<ConnectionGuard, Refusal> {
    hub.register(info, options).map_err(|error| match error {
        RegisterError::Duplicate => Refusal::new(StatusCode::CONFLICT, format!("{error}\n")),
        RegisterError::Full => unavailable(&format!("{error}; connect again\n")),
    })
}

pub(super) fn unavailable(body: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, body)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// The peer's address as `axum::serve` tells it, where the application asked for it.
#[cfg(feature = "axum")]
fn connect_info_addr(parts: &Parts) -> Option<SocketAddr> {
    parts
        .extensions
        .get::<axum::extract::ConnectInfo<SocketAddr>>()
        .map(|info| info.0)
}

#[cfg(not(feature = "axum"))]
fn connect_info_addr(_: &Parts) -> Option<SocketAddr> {
    None
}
