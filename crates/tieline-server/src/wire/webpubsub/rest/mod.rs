//! The REST side of the Web PubSub wire, which backends use.
//!
//! Owns the paths below `/api`: what a request asks for (`path`, `query`, `body`), whether it may
//! (`auth`), and what the response says (`error`, `outcome`). What is done is up to the operations of `app`. Must
//! not know where connections are. Invariants: nothing is done before the token of the request has been checked, and
//! nothing is taken from what the hub may have; success has exactly the status that SDKs demand; what one request
//! holds in memory is bounded, and so is its time.

mod auth;
mod body;
mod close;
mod error;
mod exists;
mod groups;
mod list;
mod outcome;
mod path;
mod permissions;
mod query;
mod repeat;
mod send;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use tieline::client_addr;
use tracing::{Instrument, Span};

use self::{
    error::Error,
    outcome::empty,
    path::{Call, Operation},
    query::Query,
    repeat::Repeats,
};
use crate::{
    app::hubs::{Hub, HubHandle, Hubs},
    config::hub_name::HubName,
    metrics::METRICS,
    traces::spans,
    wire::outcome::MissedLog,
};

/// What requests share.
#[derive(Clone)]
struct RestState {
    hubs: Hubs,
    repeats: Repeats,
    log: MissedLog,
}

/// A request whose token has been checked.
struct Checked {
    hub: HubHandle,
    operation: Operation,
    query: Query,
    headers: HeaderMap,
    body: Body,
    /// The URL as the backend sees it, without its query.
    url: String,
    log: MissedLog,
}

/// The REST API.
pub(crate) fn routes(hubs: Hubs) -> Router {
    Router::new()
        .route("/api/health", any(health))
        .route("/api/{*path}", any(answer))
        .with_state(RestState {
            hubs,
            repeats: Repeats::default(),
            log: MissedLog::default(),
        })
}

/// Whether there is a server. Whether it is ready is said elsewhere, to whom it concerns.
async fn health(method: Method) -> Response {
    if method == Method::HEAD {
        return empty(StatusCode::OK);
    }
    Error::method("HEAD").into_response()
}

async fn answer(State(state): State<RestState>, request: Request) -> Response {
    let call = Call::parse(request.method(), request.uri().path());
    let route = call
        .as_ref()
        .map_or("unknown", |call| call.operation.route());
    let answered = match call {
        Ok(call) => state.answer(call, request).await,
        Err(error) => Err(error),
    };
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    METRICS.rest_request("webpubsub", route, response.status().as_u16());
    response
}

impl RestState {
    async fn answer(&self, call: Call, request: Request) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let Call { hub, operation } = call;
        let hub = self.hub(&hub)?;
        let access = &hub.rules().access;
        let address = client_addr(&parts.extensions).map(|address| address.ip());
        let attempt = self.hubs.attempt(address)?;
        let token = auth::check(access, &parts.headers, path);
        let token = token.inspect_err(|_| attempt.failed())?;
        hub.take_request()?;
        let route = operation.route();
        let url = match operation {
            Operation::Members { .. } => access.url(token, path).unwrap_or_default(),
            _ => String::new(),
        };
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let repeated = match parts.method {
            // They change nothing.
            Method::GET | Method::HEAD => None,
            _ => self.repeats.id_of(&parts)?,
        };
        let checked = Checked {
            hub: hub.handle().clone(),
            operation,
            query,
            headers: parts.headers,
            body,
            url,
            log: self.log.clone(),
        };
        let cluster = hub.handle().cluster();
        let carry_out = checked.traced(route);
        Ok(match repeated {
            Some(id) => self.repeats.once(id, cluster.hub(), carry_out).await,
            None => carry_out.await,
        })
    }

    fn hub(&self, name: &str) -> Result<Hub, Error> {
        let name: Result<HubName, _> = name.parse();
        let name = name.map_err(|why| Error::bad_request("hub", why))?;
        self.hubs.get(&name).ok_or_else(Error::no_hub)
    }
}

impl Checked {
    /// Carries it out, as a part of the backend's trace.
    fn traced(self, route: &'static str) -> impl Future<Output = Response> + Send + 'static {
        let hub = self.hub.name().as_str();
        let span = spans::backend_request(("webpubsub", route), hub, &self.headers);
        let carry_out = async move {
            let answered = self.carry_out().await;
            let response = answered.unwrap_or_else(IntoResponse::into_response);
            let status = response.status().as_u16();
            Span::current().record("http.response.status_code", status);
            response
        };
        carry_out.instrument(span)
    }

    async fn carry_out(self) -> Result<Response, Error> {
        let Self {
            hub,
            operation,
            query,
            headers,
            body,
            url,
            log,
        } = self;
        let (hub, query, headers, log) = (&hub, &query, &headers, &log);
        let cluster = hub.cluster();
        match operation {
            Operation::Send(target) => send::send(hub, &target, query, (headers, body), log).await,
            Operation::Close(target) => close::close(hub, target, query, log).await,
            Operation::Exists(target) => exists::exists(cluster, &target, log).await,
            Operation::AddConnection { group, connection } => {
                groups::add_connection(hub, &connection, &group).await
            }
            Operation::RemoveConnection { group, connection } => {
                groups::remove_connection(hub, &connection, &group).await
            }
            Operation::RemoveConnectionFromAll { connection } => {
                groups::remove_connection_from_all(hub, &connection).await
            }
            Operation::AddUser { user, group } => groups::add_user(hub, user, group, log).await,
            Operation::RemoveUser { user, group } => {
                groups::remove_user(hub, user, Some(group), log).await
            }
            Operation::RemoveUserFromAll { user } => {
                groups::remove_user(hub, user, None, log).await
            }
            Operation::Permission(access, permission, connection) => {
                permissions::permission(cluster, access, permission, &connection, query).await
            }
            Operation::AddToGroups => groups::change_many(hub, headers, body, true, log).await,
            Operation::RemoveFromGroups => {
                groups::change_many(hub, headers, body, false, log).await
            }
            Operation::Members { group } => list::members(hub, group, query, &url, log).await,
            Operation::GenerateToken => Err(Error::not_implemented(
                "tokens are made by whoever has an access key: by the SDKs, or by `tieline token`",
            )),
        }
    }
}
