//! The body of a request.
//!
//! Owns its type, its length and how long it may take. Must not know what it is for. Invariant: at most 1 MiB of a
//! request is in memory.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use tieline::{Bytes, Note};
use tokio::time::timeout;

use super::error::Error;
use crate::app::payload::{DataType, InvalidData, Payload};

/// The longest body, in bytes; that of the hosted service.
const MAX_LENGTH: usize = 1024 * 1024;

/// How long a body may take. At the longest length it needs 35 KB/s.
const DEADLINE: Duration = Duration::from_secs(30);

/// The whole body.
async fn read(body: Body) -> Result<Bytes, Error> {
    // Before the client has sent it.
    if body.size_hint().lower() > MAX_LENGTH as u64 {
        return Err(Error::too_large(MAX_LENGTH));
    }
    let collected = timeout(DEADLINE, Limited::new(body, MAX_LENGTH).collect()).await;
    let collected = collected.map_err(|_| Error::slow_body(DEADLINE.as_secs()))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::too_large(MAX_LENGTH)),
        Err(_) => Err(Error::bad_request("body", "the body is not complete")),
    }
}

/// The message in a body.
pub(super) async fn message(headers: &HeaderMap, body: Body) -> Result<Note, Error> {
    let data_type = match media_type(headers)?.as_deref() {
        Some("application/json") => DataType::Json,
        Some("text/plain") => DataType::Text,
        Some("application/octet-stream") | None => DataType::Binary,
        Some(_) => {
            let expected = "application/json, text/plain or application/octet-stream";
            return Err(Error::media_type(expected));
        }
    };
    let note = Payload::note(data_type, read(body).await?);
    note.map_err(|error| {
        let message = match (error, data_type) {
            (InvalidData::Mismatch, DataType::Json) => "the body is not valid JSON".into(),
            (InvalidData::Mismatch, _) => "the body is not valid UTF-8".into(),
            (error, _) => error.to_string(),
        };
        Error::bad_request("body", message)
    })
}

/// The JSON object in a body.
pub(super) async fn json<T: for<'a> Deserialize<'a>>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Error> {
    const JSON: &str = "application/json";
    if media_type(headers)?.as_deref() != Some(JSON) {
        return Err(Error::media_type(JSON));
    }
    let json = read(body).await?;
    serde_json::from_slice(&json)
        .map_err(|error| Error::bad_request("body", format!("the body cannot be read: {error}")))
}

/// The type, without parameters and in lower case.
fn media_type(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let first = types.next();
    if types.next().is_some() {
        return Err(Error::media_type("given once"));
    }
    let Some(first) = first else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(first.as_bytes());
    let essence = text.split(';').next().unwrap_or_default();
    Ok(Some(essence.trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{http::StatusCode, response::IntoResponse};
    use futures_util::{StreamExt, stream};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_has_a_deadline() {
        let start = Instant::now();
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let error = message(&HeaderMap::new(), body).await.unwrap_err();
        let status = error.into_response().status();
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(start.elapsed(), DEADLINE);
    }
}
