//! What requests ask for: paths, parameters and bodies.
//!
//! Owns how they are read, and what is said of those that cannot be.

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, Query},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::{app::inspection::connections::MAX_LIMIT, config::hub_name::HubName};

/// How many items a list has unless told otherwise.
const DEFAULT_LIMIT: usize = 100;

/// The hub and the id of a connection, as a path names them.
pub(super) struct ConnectionPath {
    pub(super) hub: String,
    pub(super) id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ConnectionPath {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(head, state).await;
        let path: Result<Path<(String, String)>, _> = path;
        let Path((hub, id)) = path.map_err(|error| ApiError::bad_request(error.body_text()))?;
        Ok(Self { hub, id })
    }
}

/// The parameters of a URL.
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let query = Query::try_from_uri(uri);
    let query = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    Ok(query.0)
}

/// The JSON of a body.
pub(super) fn body<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad_request(
            "the body is empty; send a JSON object",
        ));
    }
    let value = serde_json::from_slice(body);
    value.map_err(|error| {
        ApiError::bad_request(format!("the body is not what is expected: {error}"))
    })
}

pub(super) fn limit(limit: Option<usize>) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    let message = format!("limit is a number from 1 to {MAX_LIMIT}");
    Err(ApiError::bad_request(message))
}

/// A parameter; one without a value, as forms send it, is none.
pub(super) fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// The name of a hub, or of an app's own, such as `pusher/3`.
pub(super) fn hub(name: &str) -> Result<HubName, ApiError> {
    HubName::of_any(name).map_err(ApiError::bad_request)
}

/// The hub of a parameter, as hubs are named inside.
pub(super) fn hub_given(value: Option<String>) -> Result<Option<String>, ApiError> {
    let name = given(value).map(|name| hub(&name)).transpose()?;
    Ok(name.map(|name| name.to_string()))
}
