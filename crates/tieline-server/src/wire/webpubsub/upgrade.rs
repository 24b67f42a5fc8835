//! The upgrade of Web PubSub clients: who may connect, and as whom.
//!
//! Owns the client endpoints, the choice of the subprotocol, and the first and last message of a
//! connection. Must not know what happens in between. Invariant: a client is accepted only after the hub
//! and its access have been checked.

use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tieline::{Accept, ClientId, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};

use super::{
    ack_ids::AckIds,
    client::{Client, Mode, SimpleMode},
    credential,
    dialects::DialectIds,
    handler::WebPubSub,
    outgoing,
};
use crate::app::{
    access::{Admitted, LiveAccess},
    events::Events,
    namespace::Namespace,
};

const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";

/// What the routes share.
struct RouteState<E: Events> {
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: LiveAccess,
    dialects: DialectIds,
}

impl<E: Events> Clone for RouteState<E> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            hub: self.hub.clone(),
            access: self.access.clone(),
            dialects: self.dialects,
        }
    }
}

/// The client endpoints: `/client/hubs/{hub}` and `/client/?hub={hub}`, with or without the last slash.
pub(crate) fn routes<E: Events>(
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: LiveAccess,
    dialects: DialectIds,
) -> Router {
    Router::new()
        .route("/client/hubs/{hub}", get(by_path))
        .route("/client/hubs/{hub}/", get(by_path))
        .route("/client/", get(by_query))
        .route("/client", get(by_query))
        .with_state(RouteState {
            node,
            hub,
            access,
            dialects,
        })
}

async fn by_path<E: Events>(
    State(state): State<RouteState<E>>,
    Path(hub): Path<String>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    connect(&state, &hub, upgrade).await
}

#[derive(Deserialize)]
struct HubQuery {
    #[serde(default)]
    hub: String,
}

async fn by_query<E: Events>(
    State(state): State<RouteState<E>>,
    Query(HubQuery { hub }): Query<HubQuery>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    connect(&state, &hub, upgrade).await
}

/// Checks the hub first, so that a request without an upgrade, for example from curl, also learns that
/// the hub is wrong.
async fn connect<E: Events>(
    state: &RouteState<E>,
    hub: &str,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let decide = |admitted, request| decide(admitted, request, state.dialects);
    match state.check_hub(hub).and(upgrade) {
        Ok(upgrade) => {
            let request = upgrade.request();
            let admitted = state.admit(request).await;
            match admitted.and_then(|by| decide(by, request)) {
                Ok(accept) => upgrade.accept(&state.node, accept).await.into_response(),
                Err(refusal) => refusal.into_response(),
            }
        }
        Err(refusal) => refusal.into_response(),
    }
}

impl<E: Events> RouteState<E> {
    fn check_hub(&self, hub: &str) -> Result<(), Refusal> {
        if self.hub.is_named(hub) {
            return Ok(());
        }
        let own = &self.hub;
        let body = format!("unknown hub {hub:?}; this server's hub is \"{own}\"\n");
        Err(Refusal::new(StatusCode::NOT_FOUND, body))
    }

    /// Tokens are for the path with the hub in it, even if the request has the hub in its query: without the
    /// hub, a token would open all of them.
    async fn admit(&self, request: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let path = format!("/client/hubs/{}", self.hub);
        credential::admit(&self.access.load(), request, &path).await
    }
}

/// Accepts an admitted client, with the state for its subprotocol.
fn decide(
    admitted: Admitted,
    request: &UpgradeRequest,
    dialects: DialectIds,
) -> Result<Accept<Client>, Refusal> {
    let Admitted {
        user,
        groups,
        roles,
        by_token,
    } = admitted;
    let id = ClientId::random();
    let chosen = || request.query("user").filter(|user| !user.is_empty());
    let user = if by_token { user } else { chosen() };
    let mut offered = request.subprotocols().peekable();
    let client = |mode| Client { mode, roles };
    let accept = if offered.peek().is_none() {
        let mode = Mode::Simple(SimpleMode::of(request)?);
        Accept::new(client(mode)).dialect(dialects.simple)
    } else if let Some(spelled) = offered.find(|name| name.eq_ignore_ascii_case(SUBPROTOCOL)) {
        Accept::new(client(Mode::Json(AckIds::default())))
            .dialect(dialects.json)
            // In the client's spelling, with which it compares the reply.
            .subprotocol(spelled)
            .first_message(outgoing::connected(&id, user.as_deref()))
            .final_message(outgoing::disconnected)
    } else {
        let body = format!("unsupported subprotocol; offer {SUBPROTOCOL}\n");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, body));
    };
    let accept = groups.into_iter().fold(accept.id(id), Accept::group);
    let accept = match user {
        Some(user) => accept.user(user),
        None => accept,
    };
    // A page gets a token from the application, not from the browser, which adds cookies to any request.
    Ok(if by_token {
        accept.any_origin()
    } else {
        accept
    })
}
