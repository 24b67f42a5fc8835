//! The upgrade of Web PubSub clients: who may connect, and as whom.
//!
//! Owns the client endpoints, the choice of the subprotocol, and the first and last message of a
//! connection. Must not know what happens in between. Invariant: the event handler is asked, and a client
//! accepted, only after the hub and its access have been checked.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use serde::Deserialize;
use tieline::{Accept, ClientId, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};

use super::{
    client::{Client, Language, SimpleMode},
    credential,
    dialects::DialectIds,
    handler::WebPubSub,
    outgoing,
    session::SessionSlot,
};
use crate::app::{
    access::{Admitted, LiveAccess},
    events::{ConnectError, ConnectRequest, Events},
    namespace::Namespace,
    permissions::{Permissions, SharedPermissions},
    role::Roles,
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
    let decided = async {
        let upgrade = state.check_hub(hub).and(upgrade)?;
        let admitted = state.admit(upgrade.request()).await?;
        let accept = state.decide(admitted, upgrade.request()).await?;
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

    /// Tokens are for the path with the hub in it, even if the request has the hub in its query: without the
    /// hub, a token would open all of them.
    async fn admit(&self, request: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let path = format!("/client/hubs/{}", self.hub);
        credential::admit(&self.access.load(), request, &path).await
    }

    /// Accepts an admitted client, unless the event handler says otherwise, with the state for its
    /// subprotocol.
    async fn decide(
        &self,
        admitted: Admitted,
        request: &UpgradeRequest,
    ) -> Result<Accept<Box<Client<E::Memory>>>, Refusal> {
        // Whatever is wrong with the request itself, the event handler need not hear of it.
        let mode = SimpleMode::of(request)?;
        let id = ClientId::random();
        let Identity {
            user,
            groups,
            roles,
            subprotocol: chosen,
            session,
            by_token,
        } = self.identify(&id, admitted, request).await?;
        let subprotocol = chosen.map_or_else(|| supported(request), |chosen| Ok(Some(chosen)))?;
        let is_json = subprotocol.as_deref().is_some_and(is_json);
        let language = if is_json {
            Language::Json
        } else {
            Language::Simple(mode)
        };
        let mut accept = Accept::new(Box::new(Client {
            language,
            permissions: None,
            session,
        }))
        .id(id.clone())
        .data::<SharedPermissions>(Mutex::new(Permissions::new(roles)));
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
        let accept = groups.into_iter().fold(accept, Accept::group);
        // A page gets a token from the application, not from the browser, which adds cookies to any request.
        Ok(if by_token {
            accept.any_origin()
        } else {
            accept
        })
    }

    /// Who a client is: whom its token names, or itself without one, and then what the event handler says.
    async fn identify(
        &self,
        id: &ClientId,
        admitted: Admitted,
        request: &UpgradeRequest,
    ) -> Result<Identity<E::Memory>, Refusal> {
        let chosen = || request.query("user").filter(|user| !user.is_empty());
        let by_token = admitted.by_token;
        let user = if by_token { admitted.user } else { chosen() };
        let mut identity = Identity {
            user: user.map(Arc::from),
            groups: admitted.groups.into_iter().map(Arc::from).collect(),
            roles: admitted.roles,
            subprotocol: None,
            session: SessionSlot::default(),
            by_token,
        };
        let user = identity.user.clone();
        let token = if by_token {
            credential::token(request).ok().flatten()
        } else {
            None
        };
        let asked = ConnectRequest {
            id,
            user: user.as_deref(),
            token: token.as_deref(),
            upgrade: request,
        };
        if let Some(admission) = self.node.handler().connect(asked).await {
            let admission = admission.map_err(|error| refuse(&error))?;
            identity.user = admission.user;
            identity.subprotocol = admission.subprotocol;
            if !admission.groups.is_empty() {
                identity.groups = admission.groups;
            }
            if let Some(roles) = admission.roles {
                identity.roles = self.access.load().share(roles);
            }
            identity.session = SessionSlot::with_memory(admission.memory);
        }
        Ok(identity)
    }
}

/// Who a client is, and what it may do.
struct Identity<M> {
    user: Option<Arc<str>>,
    groups: Vec<Arc<str>>,
    roles: Arc<Roles>,
    /// The one that the event handler chose.
    subprotocol: Option<String>,
    session: SessionSlot<M>,
    by_token: bool,
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
