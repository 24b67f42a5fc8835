//! The upgrade of clients: which app a client is for, and whether there is room for it.
//!
//! Owns the client endpoint, the id of a connection, and its first and last message. Must not know what happens in
//! between. Invariants: whoever asks for a WebSocket in a valid way gets one, and is told there why it is refused,
//! because the SDKs wait longer after a refused upgrade, and cannot read it; the id of a connection cannot be guessed.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderName, header::FORWARDED},
    response::{IntoResponse, Response},
    routing::get,
};
use tieline::{Accept, ClientId, Handler, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};
use tracing::{Instrument, Span, field::display};

use super::{
    app::App,
    client::{Client, Protocol},
    farewell::farewell,
    handler::{PusherHandler, WIRE},
    outgoing,
    refused::Refused,
    service::Pusher,
};
use crate::{
    app::{
        client_data::PusherData,
        connection_log,
        hubs::Hub,
        limits::{Arrival, LimitExceeded},
        refusals::What,
    },
    metrics::METRICS,
    traces::spans,
};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Longest version that a client may say it has, in bytes.
const MAX_VERSION: usize = 64;

/// What the routes share.
struct RouteState<H: Handler> {
    node: Node<H>,
    pusher: Arc<Pusher>,
    handler: Arc<PusherHandler>,
}

impl<H: Handler> Clone for RouteState<H> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            pusher: Arc::clone(&self.pusher),
            handler: Arc::clone(&self.handler),
        }
    }
}

/// The client endpoint, `/app/{key}`, and what is next to it by mistake.
pub(super) fn routes<H: Handler>(
    node: Node<H>,
    pusher: Arc<Pusher>,
    handler: PusherHandler,
) -> Router {
    Router::new()
        .route("/app/{*key}", get(by_key))
        .route("/app/", get(without_key))
        .route("/app", get(without_key))
        .with_state(RouteState {
            node,
            pusher,
            handler: Arc::new(handler),
        })
}

async fn by_key<H: Handler>(
    State(state): State<RouteState<H>>,
    key: Result<Path<String>, PathRejection>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let key = key.map_or_else(|_| String::new(), |Path(key)| key);
    connect(&state, &key, upgrade).await
}

async fn without_key<H: Handler>(
    State(state): State<RouteState<H>>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    connect(&state, "", upgrade).await
}

async fn connect<H: Handler>(
    state: &RouteState<H>,
    key: &str,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let span = spans::upgrade(WIRE);
    let response = answer(state, key, upgrade).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

/// Checks the app first, so that a request without an upgrade, for example from curl, also learns that the key is
/// wrong.
async fn answer<H: Handler>(
    state: &RouteState<H>,
    key: &str,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let address = upgrade.as_ref().ok();
    let address = address.and_then(|upgrade| upgrade.request().remote_addr());
    let app = find(&state.pusher, key);
    let hub = app.as_ref().ok().map(|(_, hub)| hub.clone());
    let (response, refused) = match (app, upgrade) {
        (Ok((app, hub)), Ok(upgrade)) => state.admit(&app, &hub, upgrade).await,
        (Err(refused), Ok(upgrade)) => state.refuse(upgrade, refused),
        (Err(refused), Err(_)) => (refused.refusal().into_http(), Some(refused)),
        (Ok(_), Err(refusal)) => (refusal.into_http(), None),
    };
    let status = response.status();
    let (code, reason, text) = match refused {
        Some(refused) => (refused.code, refused.reason, refused.message),
        None if status == StatusCode::SWITCHING_PROTOCOLS => return response.into_response(),
        None => (status.as_u16(), "request", response.body().clone()),
    };
    METRICS.upgrade_refused(code);
    let hub = hub.as_ref().map(|hub| hub.name().as_str());
    connection_log::refused(hub, address, WIRE, (code, reason));
    let text = format!("{code}: {text}");
    let address = address.map(|address| address.ip());
    let refusals = state.pusher.hubs.refusals();
    refusals.add(What::UpgradeRefused, &text, hub.unwrap_or(key), address);
    response.into_response()
}

/// The app with this key, and its hub.
fn find(pusher: &Pusher, key: &str) -> Result<(Arc<App>, Hub), Refused> {
    // As some proxies make it.
    let key = key.strip_suffix('/').unwrap_or(key);
    if key.is_empty() || key.contains('/') {
        return Err(Refused::path());
    }
    let app = pusher.apps.by_key(key).ok_or_else(Refused::unknown_app)?;
    if !app.rules.enabled {
        return Err(Refused::disabled());
    }
    let hub = app.hub(&pusher.hubs).ok_or_else(Refused::unknown_app)?;
    Ok((app, hub))
}

impl<H: Handler> RouteState<H> {
    async fn admit(
        &self,
        app: &Arc<App>,
        hub: &Hub,
        upgrade: Upgrade,
    ) -> (http::Response<String>, Option<Refused>) {
        let accept = match self.decide(app, hub, upgrade.request()).await {
            Ok(accept) => accept,
            Err(refused) => return self.refuse(upgrade, refused),
        };
        let handler = Arc::clone(&self.handler);
        let response = upgrade.accept_with(&self.node, handler, accept).await;
        let by_node = response.extensions().get::<Refusal>();
        let refused = by_node.map(Refused::by_node);
        (response, refused)
    }

    /// Tells a client after the upgrade.
    fn refuse(
        &self,
        upgrade: Upgrade,
        refused: Refused,
    ) -> (http::Response<String>, Option<Refused>) {
        let response = upgrade.refuse(&self.node, refused.after_upgrade());
        (response, Some(refused))
    }

    /// Accepts a client of an app, if there is room for it.
    async fn decide(
        &self,
        app: &Arc<App>,
        hub: &Hub,
        request: &UpgradeRequest,
    ) -> Result<Accept<Box<Client>>, Refused> {
        let pusher = &self.pusher;
        if app.rules.tls_only && !request.is_tls() && !is_forwarded_from_tls(request) {
            return Err(Refused::tls_only());
        }
        if !app.origins.allow(request) {
            return Err(Refused::origin());
        }
        let protocol = protocol(request)?;
        let address = request.remote_addr().map(|address| address.ip());
        let limits = Arc::clone(&hub.rules().limits);
        let quotas = Arc::clone(pusher.hubs.quotas());
        let arrival = Arrival::at_hub(quotas, limits, hub.name(), address).await;
        let mut arrival = arrival.map_err(too_many)?;
        arrival.admit().await.map_err(too_many)?;
        let place = pusher.place(app).ok_or_else(Refused::full_app)?;
        let id = socket_id().ok_or_else(|| {
            Refused::over_capacity("the system has no random numbers at the moment", "node")
        })?;
        Span::current().record("id", display(&id));
        let activity_timeout = pusher.apps.load().activity_timeout;
        let client = Client::new(place, hub.handle().clone(), protocol);
        let mut accept = Accept::new(Box::new(client))
            .namespace(hub.name().as_str())
            .dialect(pusher.dialect.0)
            .first_message(outgoing::connected(id.as_str(), activity_timeout))
            .farewell(farewell)
            .if_refused(|refusal| Refused::by_node(refusal).farewell())
            .id(id)
            // Those of the app have been asked.
            .any_origin();
        // Whichever it is: clients that get none of theirs back fail.
        if let Some(subprotocol) = request.subprotocols().next() {
            accept = accept.subprotocol(subprotocol);
        }
        let (accept, quota) = arrival.apply_to(accept);
        Ok(accept.data(PusherData::new(hub.handle().clone(), quota)))
    }
}

/// The version of the protocol that the client speaks.
fn protocol(request: &UpgradeRequest) -> Result<Protocol, Refused> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
    let version = request.query("version").unwrap_or_default();
    if version.len() > MAX_VERSION || !version.bytes().all(is_plain) {
        return Err(Refused::version());
    }
    let protocol = request.query("protocol").ok_or_else(Refused::no_protocol)?;
    Protocol::parse(&protocol).ok_or_else(Refused::protocol)
}

/// Whether a proxy says that the client speaks TLS with it. A client that says so itself deceives nobody else.
fn is_forwarded_from_tls(request: &UpgradeRequest) -> bool {
    let first = |name| request.header(name)?.split(',').next();
    let proto = first(X_FORWARDED_PROTO).map(str::trim);
    let is_https = |proto: &str| {
        ["https", "wss"]
            .iter()
            .any(|it| proto.eq_ignore_ascii_case(it))
    };
    let mut pairs = first(FORWARDED)
        .into_iter()
        .flat_map(|first| first.split(';'));
    proto.is_some_and(is_https)
        || pairs.any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("proto") && is_https(value.trim().trim_matches('"'))
        })
}

/// An id as the libraries of backends check it: two numbers with a dot between. Each has 53 random bits, which those
/// who read it as a number of JavaScript do not lose.
fn socket_id() -> Option<ClientId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let bits = u128::from_be_bytes(random);
    let (one, other) = (bits >> 75, bits & ((1 << 53) - 1));
    ClientId::new(format!("{one}.{other}")).ok()
}

fn too_many(error: LimitExceeded) -> Refused {
    Refused::over_capacity(error.what(), "limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_two_numbers_and_differ() {
        let id = || socket_id().unwrap().as_str().to_owned();
        let is_number = |text: &str| text.parse::<u64>().is_ok_and(|number| number < 1 << 53);
        for _ in 0..1000 {
            let id = id();
            let (one, other) = id.split_once('.').unwrap();
            assert!(is_number(one) && is_number(other), "{id}");
        }
        assert_ne!(id(), id());
    }
}
