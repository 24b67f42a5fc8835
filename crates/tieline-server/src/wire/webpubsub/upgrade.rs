//! The upgrade of Web PubSub clients: who may connect, and as whom.
//!
//! Owns the client endpoints, the choice of the subprotocol, and the first and last message of a
//! connection. Must not know what happens in between. Invariant: the event handler is asked, and a client
//! accepted, only after the hub and its access have been checked.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::header::HOST,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tieline::{Accept, ClientId, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};

use super::{
    client::{Client, Language, SimpleMode},
    dialects::DialectIds,
    handler::WebPubSub,
    outgoing,
    session::SessionSlot,
};
use crate::app::{
    access::AnonymousAccess,
    events::{ConnectError, ConnectRequest, Events},
    namespace::Namespace,
};

const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";

/// What the routes share.
struct RouteState<E: Events> {
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: AnonymousAccess,
    dialects: DialectIds,
}

impl<E: Events> Clone for RouteState<E> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            hub: self.hub.clone(),
            access: self.access,
            dialects: self.dialects,
        }
    }
}

/// The client endpoints: `/client/hubs/{hub}` and `/client/?hub={hub}`, with or without the last slash.
pub(crate) fn routes<E: Events>(
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: AnonymousAccess,
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
    let decided = async {
        let upgrade = state.check_hub(hub).and(upgrade)?;
        state.check_access(upgrade.request())?;
        let accept = state.decide(upgrade.request()).await?;
        Ok::<_, Refusal>((upgrade, accept))
    };
    match decided.await {
        Ok((upgrade, accept)) => upgrade.accept(&state.node, accept).await.into_response(),
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

    fn check_access(&self, request: &UpgradeRequest) -> Result<(), Refusal> {
        if self.access.allows(request.header(HOST).unwrap_or_default()) {
            return Ok(());
        }
        let body = "anonymous clients may connect only through localhost or a loopback address; \
                    to allow others, start the server with --anonymous\n";
        Err(Refusal::new(StatusCode::FORBIDDEN, body))
    }

    /// Accepts with the user that the client names, unless the event handler says otherwise, and with the
    /// state for its subprotocol.
    async fn decide(
        &self,
        request: &UpgradeRequest,
    ) -> Result<Accept<Box<Client<E::Memory>>>, Refusal> {
        // Whatever is wrong with the request itself, the event handler need not hear of it.
        let mode = SimpleMode::of(request)?;
        let id = ClientId::random();
        let user = request.query("user").filter(|user| !user.is_empty());
        let mut user: Option<Arc<str>> = user.map(Arc::from);
        let (mut session, mut groups, mut chosen) = (SessionSlot::default(), Vec::new(), None);
        let asked = ConnectRequest {
            id: &id,
            user: user.as_deref(),
            upgrade: request,
        };
        if let Some(admission) = self.node.handler().connect(asked).await {
            let admission = admission.map_err(|error| refuse(&error))?;
            (user, groups, chosen) = (admission.user, admission.groups, admission.subprotocol);
            session = SessionSlot::with_memory(admission.memory);
        }
        let subprotocol = chosen.map_or_else(|| supported(request), |chosen| Ok(Some(chosen)))?;
        let is_json = subprotocol.as_deref().is_some_and(is_json);
        let language = if is_json {
            Language::Json
        } else {
            Language::Simple(mode)
        };
        let mut accept = Accept::new(Box::new(Client { language, session })).id(id.clone());
        accept = if is_json {
            accept
                .dialect(self.dialects.json)
                .first_message(outgoing::connected(&id, user.as_deref()))
                .final_message(outgoing::disconnected)
        } else {
            accept.dialect(self.dialects.simple)
        };
        if let Some(subprotocol) = subprotocol {
            accept = accept.subprotocol(subprotocol);
        }
        if let Some(user) = user {
            accept = accept.user(user);
        }
        Ok(groups.into_iter().fold(accept, Accept::group))
    }
}

fn refuse(error: &ConnectError) -> Refusal {
    Refusal::new(error.status, format!("{}\n", error.message))
}

fn is_json(subprotocol: &str) -> bool {
    subprotocol.eq_ignore_ascii_case(SUBPROTOCOL)
}

/// The first offered subprotocol that is supported, in the client's spelling, with which it compares the reply;
/// `None` if it offers none.
fn supported(request: &UpgradeRequest) -> Result<Option<String>, Refusal> {
    let mut offered = request.subprotocols().peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    let Some(spelled) = offered.find(|name| is_json(name)) else {
        let body = format!("unsupported subprotocol; offer {SUBPROTOCOL}\n");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, body));
    };
    Ok(Some(spelled.to_owned()))
}
