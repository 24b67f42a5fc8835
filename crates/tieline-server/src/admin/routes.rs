//! The routes of the admin port.

use axum::{Router, http::StatusCode, middleware, routing::get};
use tokio::task::spawn_blocking;

use super::{
    api::Api,
    dashboard,
    exposition::Exposition,
    guard::{self, Guard},
};

const NOT_FOUND: &str =
    "not found; the admin port has a dashboard at /, /metrics, /api/nodes, /healthz and /readyz
";

/// The routes. `health` answers everybody, as on the clients' port.
pub(crate) fn routes(exposition: Exposition, api: Api, guard: Guard, health: Router) -> Router {
    // It may look at every connection.
    let page = move || spawn_blocking(move || exposition.page());
    let metrics = || async { page().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR) };
    Router::new()
        .route("/metrics", get(metrics))
        .merge(api.routes())
        // What is added above is for those only who may use the port.
        .route_layer(middleware::from_fn_with_state(guard, guard::check))
        .merge(health)
        .merge(dashboard::routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, NOT_FOUND) })
}
