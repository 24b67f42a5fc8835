//! The upgrade of Web PubSub clients: who may connect, and as whom.
//!
//! Owns the client endpoints, the choice of the subprotocol, and the first and last message of a
//! connection. Must not know what happens in between. Invariant: the event handler is asked, and a client
//! accepted, only after the hub and its access have been checked.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use tieline::{Accept, ClientId, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};
use tracing::{Instrument, Span, field::display};

use super::{
    client::{self, Client, Language, SimpleMode},
    credential,
    dialects::{DialectIds, JSON, RELIABLE},
    handler::{WIRE, WebPubSub},
    outgoing,
    refused::Refused,
    session::SessionSlot,
};
use crate::{
    app::{
        access::{Admitted, Proof},
        channels::{self, Reserved},
        client_data::{ClientData, SharedClientData},
        connection_log,
        events::{ConnectError, ConnectRequest, Events},
        hubs::{Hub, Hubs},
        limits::{Arrival, LimitExceeded, whole_seconds},
        refusals::What,
        role::Roles,
    },
    config::hub_name::HubName,
    metrics::METRICS,
    traces::spans,
};

/// What the routes share.
struct RouteState<E: Events> {
    node: Node<WebPubSub<E>>,
    hubs: Hubs,
    dialects: DialectIds,
}

impl<E: Events> Clone for RouteState<E> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            hubs: self.hubs.clone(),
            dialects: self.dialects,
        }
    }
}

/// The client endpoints: `/client/hubs/{hub}` and `/client/?hub={hub}`, with or without the last slash.
pub(crate) fn routes<E: Events>(
    node: Node<WebPubSub<E>>,
    hubs: Hubs,
    dialects: DialectIds,
) -> Router {
    Router::new()
        .route("/client/hubs/{hub}", get(by_path))
        .route("/client/hubs/{hub}/", get(by_path))
        .route("/client/", get(by_query))
        .route("/client", get(by_query))
        .with_state(RouteState {
            node,
            hubs,
            dialects,
        })
}

async fn by_path<E: Events>(
    State(state): State<RouteState<E>>,
    hub: Result<Path<String>, PathRejection>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let hub = hub.or_else(|_| client::bad_request("the name of the hub is not UTF-8"));
    connect(&state, hub.map(|Path(hub)| hub), upgrade).await
}

async fn by_query<E: Events>(
    State(state): State<RouteState<E>>,
    uri: Uri,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut hubs = pairs.filter(|(name, _)| name == "hub");
    let hub = match (hubs.next(), hubs.next()) {
        (Some((_, hub)), None) => Ok(hub.into_owned()),
        (None, _) => client::bad_request("there is no hub in the path or the query"),
        // A proxy may have read the other.
        (Some(_), Some(_)) => client::bad_request("there are several hubs in the query; name one"),
    };
    connect(&state, hub, upgrade).await
}

async fn connect<E: Events>(
    state: &RouteState<E>,
    hub: Result<String, Refusal>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let span = spans::upgrade(WIRE);
    let response = answer(state, hub, upgrade).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

/// Checks the hub first, so that a request without an upgrade, for example from curl, also learns that
/// the hub is wrong.
async fn answer<E: Events>(
    state: &RouteState<E>,
    hub: Result<String, Refusal>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    let address = upgrade.as_ref().ok();
    let address = address.and_then(|upgrade| upgrade.request().remote_addr());
    let (name, unnamed) = match hub {
        Ok(name) => (name, None),
        Err(refusal) => (String::new(), Some(refusal)),
    };
    let decided = async {
        let hub = match unnamed {
            Some(refusal) => Err(refusal.into()),
            None => state.hub(&name),
        }?;
        let upgrade = upgrade?;
        let request = upgrade.request();
        // First what costs least: whoever asks too often does not get a token checked.
        let arrival = state.arrive(&hub, request).await?;
        let admitted = admit(&hub, request).await?;
        let accept = state.decide(&hub, admitted, request, arrival).await?;
        Ok::<_, Refused>((upgrade, accept))
    };
    let (response, reason) = match decided.await {
        // The node may refuse too: it is full, drains, or has another connection of this id.
        Ok((upgrade, accept)) => (upgrade.accept(&state.node, accept).await, "node"),
        Err(Refused { refusal, reason }) => (refusal.into_http(), reason),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        METRICS.upgrade_refused(status);
        let hub = name.parse::<HubName>().ok();
        let hub = hub.as_ref().map(HubName::as_str);
        connection_log::refused(hub, address, WIRE, (status, reason));
        let text = format!("{status}: {}", response.body());
        let address = address.map(|address| address.ip());
        let refusals = state.hubs.refusals();
        refusals.add(What::UpgradeRefused, &text, &name, address);
    }
    response.into_response()
}

impl<E: Events> RouteState<E> {
    fn hub(&self, name: &str) -> Result<Hub, Refused> {
        let name: HubName = name
            .parse()
            .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, format!("{why}\n")))?;
        self.hubs.get(&name).ok_or_else(|| {
            let body = format!("there is no hub \"{name}\" on this server\n");
            Refused::new(Refusal::new(StatusCode::NOT_FOUND, body), "hub")
        })
    }

    /// A client on its way into a hub, if its address may have another.
    async fn arrive(&self, hub: &Hub, request: &UpgradeRequest) -> Result<Arrival, Refused> {
        let address = request.remote_addr().map(|address| address.ip());
        let limits = Arc::clone(&hub.rules().limits);
        let quotas = Arc::clone(self.hubs.quotas());
        let arrival = Arrival::at_hub(quotas, limits, hub.name(), address).await;
        arrival.map_err(too_many)
    }

    /// Accepts an admitted client, unless the event handler says otherwise, with the state for its
    /// subprotocol.
    async fn decide(
        &self,
        hub: &Hub,
        admitted: Admitted,
        request: &UpgradeRequest,
        mut arrival: Arrival,
    ) -> Result<Accept<Box<Client<E::Memory>>>, Refused> {
        // Whatever is wrong with the request itself, the event handler need not hear of it.
        let mode = SimpleMode::of(request)?;
        let id = ClientId::random();
        Span::current().record("id", display(&id));
        // Before the event handler, which a flood is not to reach.
        arrival.admit().await.map_err(too_many)?;
        let Identity {
            user,
            groups,
            roles,
            subprotocol: chosen,
            session,
        } = self.identify(hub, &id, admitted, request).await?;
        for group in &groups {
            channels::check_group(hub.handle(), group).map_err(reserved)?;
        }
        if let Some(user) = &user {
            arrival.identify(user).await.map_err(too_many)?;
        }
        let supported = || self.supported(request);
        let subprotocol = chosen.map_or_else(supported, |chosen| Ok(Some(chosen)))?;
        let dialect = subprotocol.as_deref();
        let dialect = dialect.and_then(|name| self.dialects.of_subprotocol(name));
        let language = dialect.map_or(Language::Simple(mode), |_| Language::Json);
        let shared = session.shared();
        let mut accept = Accept::new(Box::new(Client {
            language,
            hub: hub.handle().clone(),
            data: None,
            session,
        }))
        .namespace(hub.name().as_str())
        .id(id.clone())
        // They have been checked: each hub has its own.
        .any_origin();
        accept = if let Some(dialect) = dialect {
            accept
                .dialect(dialect)
                .first_message(outgoing::connected(&id, user.as_deref()))
                .farewell(outgoing::disconnected)
        } else {
            accept.dialect(self.dialects.simple)
        };
        accept = subprotocol.into_iter().fold(accept, Accept::subprotocol);
        if let Some(user) = user {
            accept = accept.user(user);
        }
        let (accept, quota) = arrival.apply_to(accept);
        let data = ClientData::new(roles, shared, quota);
        let accept = accept.data::<SharedClientData>(Mutex::new(data));
        Ok(groups.into_iter().fold(accept, Accept::group))
    }

    /// Who a client is: whom its token or certificate names, or itself without either, and then what the event
    /// handler says.
    async fn identify(
        &self,
        hub: &Hub,
        id: &ClientId,
        admitted: Admitted,
        request: &UpgradeRequest,
    ) -> Result<Identity<E::Memory>, Refused> {
        let chosen = || request.query("user").filter(|user| !user.is_empty());
        let user = match admitted.by {
            Proof::Token | Proof::Certificate => admitted.user,
            Proof::Nothing => chosen(),
        };
        let mut identity = Identity {
            user: user.map(Arc::from),
            groups: admitted.groups.into_iter().map(Arc::from).collect(),
            roles: admitted.roles,
            subprotocol: None,
            session: SessionSlot::default(),
        };
        let user = identity.user.clone();
        let token = if admitted.by == Proof::Token {
            credential::token(request).ok().flatten()
        } else {
            None
        };
        let asked = ConnectRequest {
            hub: hub.name(),
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
                identity.roles = hub.rules().access.share(roles);
            }
            identity.session = SessionSlot::with_memory(admission.memory);
        }
        Ok(identity)
    }

    /// The first offered subprotocol that is supported, in the client's spelling, with which it compares the
    /// reply; `None` if it offers none.
    fn supported(&self, request: &UpgradeRequest) -> Result<Option<String>, Refusal> {
        let mut offered = request.subprotocols().peekable();
        if offered.peek().is_none() {
            return Ok(None);
        }
        let Some(spelled) = offered.find(|name| self.dialects.of_subprotocol(name).is_some())
        else {
            let body = format!("unsupported subprotocol; offer {JSON} or {RELIABLE}\n");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, body));
        };
        Ok(Some(spelled.to_owned()))
    }
}

/// The client of a request, if it may connect to a hub.
async fn admit(hub: &Hub, request: &UpgradeRequest) -> Result<Admitted, Refused> {
    // Tokens are for the path with the hub in it, even if the request has the hub in its query: without the
    // hub, a token would open all of them.
    let path = format!("/client/hubs/{}", hub.name());
    let rules = hub.rules();
    let admitted = credential::admit(&rules.access, request, &path).await?;
    // A page gets a token from the application, not from the browser, which adds cookies to any request and shows
    // certificates for any page.
    if admitted.by != Proof::Token && !rules.origins.allow(request) {
        let body = "this origin is not allowed; the operator of the server can allow it (`origins` of the \
                    hub, tieline serve --origin)\n";
        let refusal = Refusal::new(StatusCode::FORBIDDEN, body);
        return Err(Refused::new(refusal, "origin"));
    }
    Ok(admitted)
}

/// Who a client is, and what it may do.
struct Identity<M> {
    user: Option<Arc<str>>,
    groups: Vec<Arc<str>>,
    roles: Arc<Roles>,
    /// The one that the event handler chose.
    subprotocol: Option<String>,
    session: SessionSlot<M>,
}

fn too_many(error: LimitExceeded) -> Refused {
    let body = format!("{error}\n");
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, body).header(
        RETRY_AFTER,
        HeaderValue::from(whole_seconds(error.retry_after)),
    );
    Refused::new(refusal, "limit")
}

fn reserved(why: Reserved) -> Refused {
    let refusal = Refusal::new(StatusCode::FORBIDDEN, format!("{why}\n"));
    Refused::new(refusal, "group")
}

fn refuse(error: &ConnectError) -> Refused {
    let refusal = Refusal::new(error.status, format!("{}\n", error.message));
    Refused::new(refusal, "event_handler")
}
