//! Frames that the server sends to clients.
//!
//! Owns their encoding. Must not know which connections a frame goes to, or when it is sent. Invariants: absent
//! properties are left out, never null; `data` is always there, and a string in all frames but those about errors and
//! events of clients, whose data goes out as it came.

use std::time::Duration;

use serde::Serialize;
use serde_json::{json, value::RawValue};
use tieline::{CloseReason, Frame};

use super::event::EventData;

/// The data of frames that say nothing more. Some SDKs do not go on without it.
pub(super) const EMPTY: &str = "{}";

/// A frame, whatever its data is.
#[derive(Serialize)]
struct ServerFrame<'a, D> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    code: Option<u16>,
    message: &'a str,
}

/// The first frame of a connection.
pub(super) fn connected(socket_id: &str, activity_timeout: Duration) -> Frame {
    let seconds = activity_timeout.as_secs();
    let data = format!(r#"{{"socket_id":"{socket_id}","activity_timeout":{seconds}}}"#);
    Frame::text(encode("pusher:connection_established", None, &data))
}

pub(super) fn pong() -> Frame {
    Frame::text(encode("pusher:pong", None, EMPTY))
}

/// The answer to a subscription, as text.
pub(super) fn subscription_succeeded(channel: &str, data: &str) -> String {
    encode(
        "pusher_internal:subscription_succeeded",
        Some(channel),
        data,
    )
}

/// Tells the application that it is not subscribed. [`error`] tells its developer.
pub(super) fn subscription_error(channel: &str, kind: &str, message: &str, status: u16) -> Frame {
    let data = json!({"type": kind, "error": message, "status": status}).to_string();
    Frame::text(encode("pusher:subscription_error", Some(channel), &data))
}

/// Something was not done. Codes are those of closes, and few others.
pub(super) fn error(code: Option<u16>, message: &str) -> Frame {
    Frame::text(encode("pusher:error", None, ErrorData { code, message }))
}

/// An event; `None` if its data is none.
pub(super) fn event(
    name: &str,
    channel: Option<&str>,
    data: &EventData,
    user_id: Option<&str>,
) -> Option<Frame> {
    fn text<D: Serialize>(frame: &ServerFrame<'_, D>) -> Option<Frame> {
        Some(Frame::text(serde_json::to_string(frame).ok()?))
    }
    match data {
        EventData::Text(data) => text(&ServerFrame {
            event: name,
            channel,
            data,
            user_id,
        }),
        EventData::Json(json) => text(&ServerFrame {
            event: name,
            channel,
            data: serde_json::from_str::<&RawValue>(json).ok()?,
            user_id,
        }),
    }
}

/// What some SDKs read instead of the close frame, before a close with a code of this wire.
pub(super) fn farewell(reason: &CloseReason) -> Option<Frame> {
    let close = reason.frame()?;
    let code = close.code.as_u16();
    (4000..4300)
        .contains(&code)
        .then(|| error(Some(code), &close.reason))
}

fn encode(event: &str, channel: Option<&str>, data: impl Serialize) -> String {
    let frame = ServerFrame {
        event,
        channel,
        data,
        user_id: None,
    };
    let json = serde_json::to_string(&frame);
    json.expect("strings and numbers always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Frame) -> String {
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn frames_match_the_wire() {
        let data = |data: &str| EventData::Text(data.into());
        let json = EventData::Json(r#"{"a": [1]}"#.into());
        let cases = [
            (
                connected("1.2", Duration::from_mins(2)),
                r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#,
            ),
            (pong(), r#"{"event":"pusher:pong","data":"{}"}"#),
            (
                Frame::text(subscription_succeeded("a", EMPTY)),
                r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#,
            ),
            (
                subscription_error("private-a", "AuthError", "no", 401),
                r#"{"event":"pusher:subscription_error","channel":"private-a","data":"{\"error\":\"no\",\"status\":401,\"type\":\"AuthError\"}"}"#,
            ),
            (
                error(None, "no"),
                r#"{"event":"pusher:error","data":{"code":null,"message":"no"}}"#,
            ),
            (
                error(Some(4301), "no"),
                r#"{"event":"pusher:error","data":{"code":4301,"message":"no"}}"#,
            ),
            (
                event("e", Some("a"), &data("\"x\""), None).unwrap(),
                r#"{"event":"e","channel":"a","data":"\"x\""}"#,
            ),
            (
                event("client-e", Some("presence-a"), &json, Some("u")).unwrap(),
                r#"{"event":"client-e","channel":"presence-a","data":{"a": [1]},"user_id":"u"}"#,
            ),
        ];
        for (frame, expected) in cases {
            assert_eq!(text(&frame), expected);
        }
    }
}
