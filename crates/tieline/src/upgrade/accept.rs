//! An upgrade, from the check of the request to the start of the connection.
//!
//! Owns the order of the steps, so that nothing is registered before the request is known to be fine, and
//! nothing answered before the registration is.

use std::{net::SocketAddr, sync::Arc};

use http::{Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use tieline_registry::ClientId;
use tieline_websocket::Protocol;
use tokio::time::Instant;

use super::{
    decision::Accept,
    refusal::{DRAINING, Refusal, unavailable},
    register,
    request::UpgradeRequest,
};
use crate::{
    config::Config,
    connection::NewClient,
    handler::Handler,
    hub::{ConnectionGuard, ConnectionInfo, ConnectionOptions},
    listener::AcceptInfo,
    node::Node,
    socket::{Socket, SocketHandler, SocketState},
};

/// A checked upgrade request that waits for the application's decision.
///
/// In an axum router it is an extractor (feature `axum`); with other HTTP servers use
/// [`Upgrade::from_parts`]. Applications without routes of their own use [`Node::service`].
///
/// ```
/// use http::{Request, Response};
/// use tieline::{Accept, Handler, Node, Refusal, StatusCode, Upgrade};
///
/// async fn websocket<H, B>(node: &Node<H>, request: Request<B>) -> Result<Response<String>, Refusal>
/// where
///     H: Handler<State = ()>,
/// {
///     let upgrade = Upgrade::from_parts(&mut request.into_parts().0)?;
///     let Some(user) = upgrade.request().query("user") else {
///         return Err(Refusal::new(StatusCode::UNAUTHORIZED, "pass ?user=NAME\n"));
///     };
///     Ok(upgrade.accept(node, Accept::new(()).user(user)).await)
/// }
/// ```
#[derive(Debug)]
pub struct Upgrade {
    request: UpgradeRequest,
    pending: OnUpgrade,
    requested_at: Instant,
    arrived_at: Instant,
}

/// A connection that is in the hub, and the response that tells its client so.
struct Admitted<S> {
    guard: ConnectionGuard,
    client: NewClient<S>,
    response: Response<String>,
}

impl Upgrade {
    /// Checks a request, and takes the HTTP server's upgrade out of its extensions.
    ///
    /// # Errors
    /// 400, 405 or 426 if the request is not a valid WebSocket handshake (RFC 6455, 4.2.1), 400 if the
    /// HTTP server cannot upgrade it.
    pub fn from_parts(parts: &mut Parts) -> Result<Self, Refusal> {
        let accept_info = parts.extensions.get::<AcceptInfo>().cloned();
        let remote_addr = match &accept_info {
            Some(info) => info.peer.address(),
            None => connect_info_addr(parts),
        };
        let mut request = UpgradeRequest::new(parts, remote_addr)?;
        request.is_tls = accept_info.as_ref().is_some_and(|info| info.is_tls);
        #[cfg(feature = "tls")]
        {
            let info = accept_info.as_ref();
            request.client_certificate = info.and_then(|info| info.client_certificate.clone());
        }
        let pending = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "this HTTP connection cannot be upgraded\n",
            )
        })?;
        let now = Instant::now();
        Ok(Self {
            request,
            pending,
            requested_at: accept_info.as_ref().map_or(now, |info| info.requested_at),
            arrived_at: accept_info.map_or(now, |info| info.arrived_at),
        })
    }

    /// The request: headers, query, remote address.
    pub fn request(&self) -> &UpgradeRequest {
        &self.request
    }

    /// Accepts. Returns the response to send: 101, or the reason why not: 403 for a foreign origin (unless
    /// [`Accept::any_origin`]), 400 for an invalid name, 409 for a duplicate id with
    /// [`Duplicate::Reject`](crate::Duplicate), 503 if the node is draining or full, if the cluster has a newer
    /// connection with that id, or if the decision took longer than
    /// [`Config::decision_timeout`](crate::Config::decision_timeout). With [`Accept::if_refused`] the client is told
    /// the reason after the upgrade instead: see [`refuse`](Self::refuse).
    pub async fn accept<H: Handler>(
        self,
        node: &Node<H>,
        accept: Accept<H::State>,
    ) -> Response<String> {
        self.accept_for(node, node.shared_handler(), accept).await
    }

    /// Accepts as [`accept`](Self::accept) does, with a handler of its own for this connection. The node's handler is
    /// called for it only by [requests](Handler::on_request) of other nodes and of backends.
    ///
    /// For nodes with clients of several kinds, which have different states.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tieline::{Accept, Connection, Handler, Message, Node, Upgrade};
    ///
    /// struct Sensors;
    ///
    /// impl Handler for Sensors {
    ///     type State = u64;
    ///
    ///     async fn on_message(&self, connection: &Connection, count: &mut u64, _: Message) {
    ///         *count += 1;
    ///         connection.emit(count.to_string());
    ///     }
    /// }
    ///
    /// async fn sensor<H: Handler>(node: Node<H>, sensors: Arc<Sensors>, upgrade: Upgrade) {
    ///     let response = upgrade.accept_with(&node, sensors, Accept::new(0)).await;
    /// #   let _ = response;
    /// }
    /// ```
    pub async fn accept_with<H: Handler, T: Handler>(
        self,
        node: &Node<H>,
        handler: Arc<T>,
        accept: Accept<T::State>,
    ) -> Response<String> {
        self.accept_for(node, handler, accept).await
    }

    /// Accepts, and runs `run` with the connection as a [`Socket`], in a task of its own, once the upgrade has
    /// completed. The node's handler is not called for this connection.
    ///
    /// Returns the response to send, as [`accept`](Self::accept) does; if it is a refusal, or the client leaves
    /// before it gets the response, `run` is dropped without being called. The task may outlive the connection;
    /// a drain waits for it ([`Config::drain_timeout`](crate::Config::drain_timeout)).
    ///
    /// ```
    /// use axum::response::IntoResponse;
    /// use tieline::{Accept, Node, Upgrade};
    ///
    /// async fn websocket(node: Node<()>, upgrade: Upgrade) -> impl IntoResponse {
    ///     let accept = Accept::new(()).group("lobby");
    ///     upgrade
    ///         .on_socket(&node, accept, async move |mut socket| {
    ///             while let Some(Ok(message)) = socket.recv().await {
    ///                 socket.connection().hub().emit_group("lobby", message);
    ///             }
    ///         })
    ///         .await
    /// }
    /// ```
    pub async fn on_socket<H, F, T>(
        self,
        node: &Node<H>,
        accept: Accept<()>,
        run: F,
    ) -> Response<String>
    where
        H: Handler,
        F: FnOnce(Socket) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let mut accept = accept.with_state(|()| SocketState::new(run, node.shared_handler()));
        accept.streaming = false;
        let handler = Arc::new(SocketHandler::new());
        self.accept_for(node, handler, accept).await
    }

    /// Refuses. Returns the response to send: the status of the refusal or, if the client is told
    /// [after the upgrade](Refusal::after_upgrade), 101; then the extensions of the response have the [`Refusal`], and so
    /// have those of [`accept`](Self::accept). The status, too, if as many clients are being told as may be.
    ///
    /// A drain waits at its end for those that are being told, until
    /// [`Config::drain_timeout`](crate::Config::drain_timeout) at the latest; then it is over for newcomers, and they get
    /// the status. The port has to be open as long: [`Node::serve`] closes it when a drain begins.
    ///
    /// ```
    /// use axum::{extract::State, response::IntoResponse};
    /// use tieline::{Accept, CloseCode, CloseFrame, Farewell, Node, Refusal, StatusCode, Upgrade};
    ///
    /// async fn websocket(State(node): State<Node<()>>, upgrade: Upgrade) -> impl IntoResponse {
    ///     if upgrade.request().query("version").is_some() {
    ///         return upgrade.accept(&node, Accept::new(())).await;
    ///     }
    ///     let close = CloseFrame::new(CloseCode::POLICY_VIOLATION, "pass ?version=");
    ///     let refusal = Refusal::new(StatusCode::BAD_REQUEST, "pass ?version=\n");
    ///     upgrade.refuse(&node, refusal.after_upgrade(Farewell::new(close)))
    /// }
    /// ```
    pub fn refuse<H: Handler>(self, node: &Node<H>, refusal: Refusal) -> Response<String> {
        self.refuse_in(node, refusal, None)
    }

    fn refuse_in<H: Handler>(
        self,
        node: &Node<H>,
        refusal: Refusal,
        subprotocol: Option<&str>,
    ) -> Response<String> {
        let farewell = refusal.farewell().cloned();
        let told = farewell.and_then(|farewell| Some((farewell, node.place_for_farewell()?)));
        let Some((farewell, place)) = told else {
            return refusal.into_http();
        };
        let handshake = &self.request.handshake;
        let chosen = subprotocol.filter(|name| handshake.subprotocols().any(|it| it == *name));
        let chosen = chosen.or_else(|| handshake.subprotocols().next());
        let mut response = handshake.respond(chosen, false).map(|()| String::new());
        response.extensions_mut().insert(refusal);
        node.start_farewell(place, farewell, self.pending);
        response
    }

    async fn accept_for<H: Handler, T: Handler>(
        self,
        node: &Node<H>,
        handler: Arc<T>,
        accept: Accept<T::State>,
    ) -> Response<String> {
        // From here on a drain waits for this upgrade, whatever its result.
        let _tracked = node.track();
        let if_refused = accept.if_refused;
        let subprotocol = accept.subprotocol.clone().filter(|_| if_refused.is_some());
        match self.admit(node, accept).await {
            Ok(admitted) => {
                let deadline = Instant::now() + node.hub().config().handshake_timeout;
                let Admitted {
                    guard,
                    client,
                    response,
                } = admitted;
                node.start(handler, guard, client, self.pending, deadline);
                response
            }
            Err(refusal) => {
                let farewell = if_refused.and_then(|farewell| farewell(&refusal));
                let refusal = match farewell {
                    Some(farewell) => refusal.after_upgrade(farewell),
                    None => refusal,
                };
                self.refuse_in(node, refusal, subprotocol.as_deref())
            }
        }
    }

    async fn admit<H: Handler, S>(
        &self,
        node: &Node<H>,
        accept: Accept<S>,
    ) -> Result<Admitted<S>, Refusal> {
        let hub = node.hub();
        self.check(hub.config(), node.is_draining(), accept.any_origin)?;
        let handshake = &self.request.handshake;
        let deflate =
            hub.config().compression.is_some() && handshake.offers_deflate() && !accept.streaming;
        let protocol = if accept.streaming {
            Protocol::streaming()
        } else {
            Protocol::new(deflate)
        };
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
        let namespace = accept.namespace.as_deref().unwrap_or_default();
        let info = register::with_keys(info, namespace, hub.config())?;
        let options = ConnectionOptions {
            first_message: accept.first_message,
            farewell: accept.farewell,
            deflate,
            bounds: accept.limits.outbox,
            dialect: accept.dialect,
            data: accept.data,
            handler: node.handler_slot(),
        };
        register::check_dialect(options.dialect, hub)?;
        let guard = register::admit(node, info, options, self.arrived_at).await?;
        let client = NewClient {
            state: accept.state,
            protocol,
            limits: accept.limits.for_connection(hub.config()),
        };
        Ok(Admitted {
            guard,
            client,
            response,
        })
    }

    fn check(&self, config: &Config, draining: bool, any_origin: bool) -> Result<(), Refusal> {
        if draining {
            return Err(unavailable(DRAINING));
        }
        if self.requested_at.elapsed() > config.decision_timeout {
            return Err(unavailable(
                "the server took too long to decide; reconnect\n",
            ));
        }
        if !any_origin && !config.origins.allow(&self.request) {
            let body = "this origin is not allowed; the operator of the server can allow it \
                        (Config::origins, tieline serve --origin)\n";
            return Err(Refusal::new(StatusCode::FORBIDDEN, body));
        }
        Ok(())
    }

    pub(crate) fn requested_at(&self) -> Instant {
        self.requested_at
    }
}

/// The client's address as `axum::serve` provides it, if the application asked for it.
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
