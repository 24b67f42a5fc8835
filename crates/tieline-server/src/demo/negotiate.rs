//! `POST /negotiate?user=NAME`: hands a page the token with which it connects.
//!
//! Owns what the token grants. Must not know how it is checked: the page uses the wire as the clients of any
//! application do. Invariant: only those get a token who could connect without one, so that the demo does not
//! open what the rules of the hub keep closed.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::{
        Extensions, HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
    },
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::json;
use tieline::client_addr;

use crate::app::{
    access::is_local,
    hubs::Hub,
    key::AccessKey,
    token::sign::{NewToken, now},
};

/// How long a token is valid, in seconds. It counts when the page connects, which it does at once.
const LIFETIME: u64 = 60;

const FOREIGN: &str = "the demo is for this machine, through localhost or a loopback address, unless it is started with --anonymous\n";

/// What hands out tokens of a hub.
struct Negotiation {
    hub: Hub,
    key: AccessKey,
    /// What the pages may do.
    roles: Vec<String>,
}

pub(crate) fn routes(hub: Hub, key: AccessKey, roles: Vec<String>) -> Router {
    let state = Arc::new(Negotiation { hub, key, roles });
    Router::new()
        .route("/negotiate", post(negotiate))
        .with_state(state)
}

#[derive(Deserialize)]
struct Visitor {
    #[serde(default)]
    user: String,
}

async fn negotiate(
    State(state): State<Arc<Negotiation>>,
    Query(Visitor { user }): Query<Visitor>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let is_local = is_local(client_addr(&extensions), &headers);
    let access = &state.hub.rules().access;
    if access.anonymous(host, is_local).is_err() {
        return (StatusCode::FORBIDDEN, FOREIGN).into_response();
    }
    let Some(token) = state.token(&user, host) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, json!({ "token": token }).to_string()).into_response()
}

impl Negotiation {
    fn token(&self, user: &str, host: &str) -> Option<String> {
        let now = now()?;
        let token = NewToken {
            aud: &format!("http://{host}/client/hubs/{}", self.hub.name()),
            sub: Some(user).filter(|user| !user.is_empty()),
            role: &self.roles,
            group: &[],
            iat: now,
            exp: now.saturating_add(LIFETIME),
        };
        token.sign(&self.key).ok()
    }
}
