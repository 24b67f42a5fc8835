//! What a backend does with a client: send to it, look at it, disconnect it.
//!
//! Owns how outcomes in the cluster become statuses. Must not know requests, nor who may make them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use tieline::{AskError, Bytes, Cluster, Delivery, Note};
use uuid::Uuid;

use super::error::ApiError;
use crate::app::{
    emit,
    operations::client::{ClientRequest, ask, describe},
};

/// Sends a message: text if it is text, else bytes. SDKs declare no type, or bytes for everything.
pub(super) async fn post(cluster: &Cluster, id: &str, data: Bytes) -> Result<Response, ApiError> {
    let note = match String::from_utf8(data.into()) {
        Ok(text) => Note::text(text),
        Err(error) => Note::binary(error.into_bytes()),
    };
    check(emit::to_one(cluster, id, note).await)?;
    Ok(StatusCode::OK.into_response())
}

/// What is known of the client. All fields are optional, also in the vendor's API.
pub(super) async fn get(cluster: &Cluster, id: &str) -> Result<Response, ApiError> {
    let description = describe(cluster, id)
        .await
        .map_err(|error| no_reply(&error))?;
    let mut body = Map::new();
    if let Some(connected_at) = connected_at(id) {
        body.insert("connectedAt".into(), connected_at.into());
    }
    if let Some(address) = description.remote_ip {
        let identity = [("sourceIp".to_owned(), Value::from(address.to_string()))];
        body.insert("identity".into(), Map::from_iter(identity).into());
    }
    Ok(Json(body).into_response())
}

/// Disconnects the client.
pub(super) async fn delete(cluster: &Cluster, id: &str) -> Result<Response, ApiError> {
    let close = ClientRequest::Close { reason: None };
    ask(cluster, id, &close)
        .await
        .map_err(|error| no_reply(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn check(delivery: Delivery) -> Result<(), ApiError> {
    Err(match delivery {
        Delivery::Delivered => return Ok(()),
        Delivery::Offline => ApiError::gone(),
        Delivery::Refused => ApiError::too_many("the client reads too slowly"),
        Delivery::QueueFull => ApiError::too_many("a queue on the way to the client is full"),
        Delivery::Unreachable => unreachable(),
        _ => ApiError::unknown("the client's node did not answer; the request may have arrived"),
    })
}

fn no_reply(error: &AskError) -> ApiError {
    match error {
        AskError::Offline => ApiError::gone(),
        AskError::Unreachable => unreachable(),
        AskError::QueueFull | AskError::Busy => ApiError::too_many("the client's node is busy"),
        _ => ApiError::unknown("the client's node did not answer; the request may have arrived"),
    }
}

fn unreachable() -> ApiError {
    ApiError::unavailable("the client's node, or the registry, cannot be reached")
}

/// When the client connected, in RFC 3339: the server makes ids that have the time in them.
fn connected_at(id: &str) -> Option<String> {
    let (seconds, nanoseconds) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    let since = std::time::Duration::new(seconds, nanoseconds);
    let connected_at = std::time::SystemTime::UNIX_EPOCH.checked_add(since)?;
    Some(humantime::format_rfc3339_millis(connected_at).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_its_client_connected() {
        // The example of RFC 9562, A.6.
        let id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        let connected_at = connected_at(id);
        assert_eq!(connected_at.as_deref(), Some("2022-02-22T19:22:22.000Z"));
        for id in ["ada", "", "919108f7-52d1-4320-9bac-f847db4148a8"] {
            assert_eq!(super::connected_at(id), None, "{id}");
        }
    }
}
