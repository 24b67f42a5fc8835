//! The admin API: what operators see and do, of all nodes from any of them, as JSON.
//!
//! Owns its URLs, its parameters and what its errors say. Must not know how nodes are asked, nor who may use the port:
//! `guard` has decided that. Invariants: what changes anything is a POST with a body of JSON, which no page of another
//! site can send, and does nothing in read-only mode; texts of clients are strings of JSON and nothing else.

mod connections;
mod error;
mod follow;
mod followers;
mod live;
mod nodes;
mod operator;
mod query;
mod state;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody, to_bytes},
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http_body_util::LengthLimitError;
use tieline::{ConfigError, StatusCode};
use tokio::time::timeout;

use self::error::ApiError;
pub(crate) use self::state::{AdminAccess, Api};

/// Longest body of a request, and so the longest message that an operator sends.
const MAX_BODY: usize = 1 << 20;

/// The time in which a body arrives. Requests that are being handled keep their descriptors, so that there must be an
/// end to them.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The routes below `/api`. Who may use them is still to be decided.
pub(super) fn routes(api: Api) -> Result<Router, ConfigError> {
    let writes = Router::new()
        .route(
            "/api/connections/{hub}/{id}/close",
            post(connections::close),
        )
        .route("/api/connections/{hub}/{id}/send", post(connections::send))
        .route("/api/drain", post(nodes::drain))
        .route_layer(middleware::from_fn_with_state(api.access, may_write));
    let live = live::node(Arc::clone(&api.inspector), api.access)?;
    let whole = Router::new()
        .route("/api/nodes", get(nodes::nodes))
        .route("/api/handlers", get(nodes::handlers))
        .route("/api/refusals", get(nodes::refusals))
        .route("/api/connections/{hub}/{id}", get(connections::one))
        .route_layer(middleware::from_fn(without_parameters));
    Ok(Router::new()
        .route("/api/groups", get(nodes::groups))
        .route("/api/connections", get(connections::list))
        .route("/api/follow", get(follow::follow))
        .route("/api/live", get(live::follow).with_state(live))
        .merge(whole)
        .merge(writes)
        .route("/api/{*rest}", any(not_found))
        .method_not_allowed_fallback(|| async { ApiError::METHOD })
        .layer(middleware::map_response(as_data))
        .with_state(api))
}

/// Lets a request pass that has no parameters: one that is ignored would look as if it had an effect.
async fn without_parameters(request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return ApiError::NO_PARAMETERS.into_response();
    }
    next.run(request).await
}

/// Lets a request that changes something pass, or answers it.
async fn may_write(State(access): State<AdminAccess>, request: Request, next: Next) -> Response {
    if access.read_only {
        return ApiError::READ_ONLY.into_response();
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    let media_type = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    if !media_type.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")) {
        return ApiError::NOT_JSON.into_response();
    }
    if request.uri().query().is_some() {
        return ApiError::NO_PARAMETERS.into_response();
    }
    match with_whole_body(request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The request, whose handler need not wait for its body.
async fn with_whole_body(request: Request) -> Result<Request, ApiError> {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(ApiError::TOO_LONG);
    }
    let body = timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| ApiError::TOO_LATE)?.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() {
            ApiError::TOO_LONG
        } else {
            ApiError::bad_request(format!("the body broke off: {error}"))
        }
    })?;
    Ok(Request::from_parts(head, Body::from(body)))
}

/// An answer is for now, and is no page.
async fn as_data(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, no_sniff);
    response
}

async fn not_found() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "the admin API has /api/nodes, /api/connections, /api/follow, /api/groups, /api/handlers, /api/refusals, \
         /api/drain and /api/live",
    )
}
