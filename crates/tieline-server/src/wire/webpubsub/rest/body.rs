//! What is in the body of a request.
//!
//! Owns its type, and its longest length. Must not know what it is for.

use axum::{
    body::Body,
    http::{HeaderMap, header::CONTENT_TYPE},
};
use serde::Deserialize;
use tieline::{Bytes, Note};

use super::error::Error;
use crate::{
    app::payload::{DataType, InvalidData, Payload},
    wire::body::{self, BodyError},
};

/// The longest body, in bytes; that of the hosted service.
const MAX_LENGTH: usize = 1024 * 1024;

/// The whole body.
async fn read(body: Body) -> Result<Bytes, Error> {
    let read = body::read(body, MAX_LENGTH).await;
    read.map_err(|error| match error {
        BodyError::TooLong => Error::too_large(MAX_LENGTH),
        BodyError::Late => Error::slow_body(body::DEADLINE.as_secs()),
        BodyError::Broken => Error::bad_request("body", "the body is not complete"),
    })
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
    if json.trim_ascii_start().first() != Some(&b'{') {
        // serde would take an array for the values of the object.
        return Err(Error::bad_request("body", "the body is not a JSON object"));
    }
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
