//! The HTTP API of Pusher Channels, for backends.
//!
//! Owns the paths below `/apps`, and what they have in common: signature, metrics, traces, errors. What is done is up
//! to the library and the operations of `app`. Must not know clients. Invariants: nothing is done before the signature
//! of a request has been checked; success has the status and the JSON that all libraries take; what a request holds in
//! memory is bounded, and so is its time.

mod answer;
mod caller;
mod channels;
mod counts;
mod error;
mod events;
mod info;
mod route;
mod shared;
mod signature;
mod trigger;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tracing::{Instrument, Span};

use self::{
    caller::Caller, error::ApiError, route::Route, shared::Shared, signature::Query,
    trigger::Trigger,
};
use super::service::Pusher;
use crate::{metrics::METRICS, traces::spans};

/// The routes of the API.
pub(super) fn routes(pusher: Arc<Pusher>) -> Router {
    Router::new()
        .route("/apps/{app}/events", post(answer))
        .route("/apps/{app}/batch_events", post(answer))
        .route("/apps/{app}/channels", get(answer))
        .route("/apps/{app}/channels/{channel}", get(answer))
        .route("/apps/{app}/channels/{channel}/users", get(answer))
        .route("/apps/{app}/channels/{channel}/events", post(answer))
        .route(
            "/apps/{app}/users/{user}/terminate_connections",
            post(answer),
        )
        // As the library for Python has it: the key says which app.
        .route("/users/{user}/terminate_connections", post(answer))
        .with_state(Arc::new(Shared::new(pusher)))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let route = Route::parse(request.uri().path());
    let name = route.as_ref().map_or("unknown", Route::name);
    let answered = match route {
        Some(route) => serve(&shared, route, request).await,
        None => Err(ApiError::bad_request("the path is not UTF-8")),
    };
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    METRICS.rest_request("pusher", name, response.status().as_u16());
    response
}

async fn serve(
    shared: &Arc<Shared>,
    Route { app, operation }: Route,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let (caller, body) = Caller::check(shared, app.as_deref(), (&head, &query), body).await?;
    let hub = caller.hub.name().as_str();
    let span = spans::backend_request(("pusher", operation.name()), hub, &head.headers);
    let carry_out = async {
        let answered = operation.carry_out(&caller, &query, &body).await;
        let response = answered.unwrap_or_else(IntoResponse::into_response);
        let status = response.status().as_u16();
        Span::current().record("http.response.status_code", status);
        response
    };
    Ok(carry_out.instrument(span).await)
}

impl route::Operation {
    async fn carry_out(
        &self,
        caller: &Caller,
        query: &Query<'_>,
        body: &[u8],
    ) -> Result<Response, ApiError> {
        match self {
            Self::Trigger => events::trigger(caller, body).await,
            Self::Batch => events::batch(caller, body).await,
            Self::TriggerOne(channel) => {
                let event = Trigger::of_old_request(channel, query, body)?;
                let event = event.checked(&caller.app.rules)?;
                let mut response = events::publish(caller, event).await?;
                *response.status_mut() = StatusCode::ACCEPTED;
                Ok(response)
            }
            Self::List => channels::list(caller, query).await,
            Self::One(channel) => channels::one(caller, channel, query).await,
            Self::Users(channel) => channels::users(caller, channel).await,
            Self::Terminate(user) => users::terminate(caller, user).await,
        }
    }
}

#[cfg(test)]
mod tests;
