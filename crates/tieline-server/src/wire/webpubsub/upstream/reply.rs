//! The answers of user events: payloads with metadata, or errors.
//!
//! Owns which content types are which data types. Must not know frames. Invariant: what is passed on can be read
//! by every client.

use http::header::CONTENT_TYPE;
use serde_json::value::RawValue;

use crate::{
    app::{
        events::{OperationError, Reply},
        payload::{DataType, Payload},
    },
    http_client::Answer,
    wire::webpubsub::metadata,
};

/// The content type of an event's data.
pub(super) fn content_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "text/plain",
        DataType::Json => "application/json",
        DataType::Binary => "application/octet-stream",
        DataType::Protobuf => "application/x-protobuf",
    }
}

/// What goes back to the client: nothing for an empty body, unless it has metadata.
pub(super) fn reply(answer: &Answer) -> Result<Option<Reply>, OperationError> {
    let payload = payload(answer)?;
    let metadata = metadata::read(&answer.headers);
    let metadata = metadata.map_err(|problem| {
        error(format!(
            "the event handler answered with bad metadata: {problem}"
        ))
    })?;
    let payload = match (payload, &metadata) {
        (None, None) => return Ok(None),
        (None, Some(_)) => Payload::text(""),
        (Some(payload), _) => payload,
    };
    Ok(Some(Reply { payload, metadata }))
}

fn payload(answer: &Answer) -> Result<Option<Payload>, OperationError> {
    if !answer.status.is_success() {
        return Err(error(format!(
            "the event handler answered {}",
            answer.status
        )));
    }
    if answer.body.is_empty() {
        return Ok(None);
    }
    let content_type = answer.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next();
    let media_type = media_type.unwrap_or_default().trim().to_ascii_lowercase();
    let payload = match &*media_type {
        "text/plain" => std::str::from_utf8(&answer.body).ok().map(Payload::text),
        "application/json" => json(&answer.body),
        "application/octet-stream" => Some(Payload::binary(&answer.body)),
        _ => {
            let message = "the event handler answered with an unknown content type";
            return Err(error(message.into()));
        }
    };
    let broken = || error("the event handler answered with data that clients cannot read".into());
    payload.ok_or_else(broken).map(Some)
}

/// JSON that every client can read. Null is not: SDKs drop it, or the connection.
fn json(body: &[u8]) -> Option<Payload> {
    let data: &RawValue = serde_json::from_slice(body).ok()?;
    let payload = Payload::new(DataType::Json, data).ok()?;
    (data.get() != "null").then_some(payload)
}

pub(super) fn error(message: String) -> OperationError {
    OperationError {
        name: "InternalServerError",
        message,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tieline::StatusCode;

    use super::*;

    fn answer(status: u16, content_type: &str, body: &'static [u8]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
        }
    }

    #[test]
    fn the_content_type_says_how_clients_get_the_body() {
        for (content_type, body, data_type, data) in [
            ("text/plain", &b"hi"[..], DataType::Text, "\"hi\""),
            (
                "Application/JSON; charset=utf-8",
                b" [1] ",
                DataType::Json,
                "[1]",
            ),
            (
                "application/octet-stream",
                b"\x00\xff",
                DataType::Binary,
                "\"AP8=\"",
            ),
        ] {
            let payload = payload(&answer(200, content_type, body)).unwrap().unwrap();
            assert_eq!(
                (payload.data_type(), payload.data().get()),
                (data_type, data)
            );
        }
        assert!(payload(&answer(204, "nonsense", b"")).unwrap().is_none());
    }

    #[test]
    fn what_clients_cannot_read_is_an_error() {
        for (status, content_type, body) in [
            (400, "text/plain", &b"bad"[..]),
            (302, "text/plain", b""),
            (200, "text/html", b"x"),
            (200, "", b"x"),
            (200, "text/plain", b"\xff"),
            (200, "application/json", b"{"),
            (200, "application/json", b"null"),
            (200, "application/json", br#""\ud83d""#),
        ] {
            let error = payload(&answer(status, content_type, body)).unwrap_err();
            assert_eq!(error.name, "InternalServerError");
            assert!(!error.message.contains("bad"), "{}", error.message);
        }
    }
}
