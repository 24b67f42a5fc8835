//! Frames that the server sends to clients.
//!
//! Owns their encoding. Must not know which connections a frame goes to, or when it is sent. Invariants: absent
//! properties are left out, never null; `data` is always there, and a string in all frames but those about errors and
//! events of clients, whose data goes out as it came.

use std::time::Duration;

use serde::Serialize;
use serde_json::{json, value::RawValue};
use tieline::Frame;

use super::event::EventData;
use crate::app::json_text;

/// The data of frames that say nothing more. Some SDKs do not go on without it.
pub(super) const EMPTY: &str = "{}";

/// The most that the names and quotes of an event take.
const PUNCTUATION: usize = r#"{"event":"","channel":"","data":,"user_id":""}"#.len();

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
struct MemberData<'a> {
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<&'a RawValue>,
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

/// The event that a cache channel keeps, as text.
pub(super) fn cached_event(channel: &str, name: &str, data: &str) -> String {
    encode(name, Some(channel), data)
}

/// A cache channel keeps no event, as text.
pub(super) fn cache_miss(channel: &str) -> String {
    encode("pusher:cache_miss", Some(channel), EMPTY)
}

/// A channel has so many subscribers, as text.
pub(super) fn subscription_count(channel: &str, count: u64) -> String {
    let data = json!({ "subscription_count": count }).to_string();
    encode("pusher_internal:subscription_count", Some(channel), &data)
}

/// The answer to a sign-in, with what was signed.
pub(super) fn signed_in(user_data: &str) -> Frame {
    let data = json!({"user_data": user_data}).to_string();
    Frame::text(encode("pusher:signin_success", None, &data))
}

/// A member has come into a presence channel, as text.
pub(super) fn member_added(channel: &str, user: &str, info: Option<&RawValue>) -> String {
    let data = encode_data(&MemberData {
        user_id: user,
        user_info: info,
    });
    encode("pusher_internal:member_added", Some(channel), &data)
}

/// A member has gone from a presence channel, as text.
pub(super) fn member_removed(channel: &str, user: &str) -> String {
    let data = encode_data(&MemberData {
        user_id: user,
        user_info: None,
    });
    encode("pusher_internal:member_removed", Some(channel), &data)
}

/// Users of a watchlist have come online or gone offline.
pub(super) fn watchlist_events(online: &[&str], offline: &[&str]) -> Frame {
    let lists = [("online", online), ("offline", offline)];
    let lists = lists.into_iter().filter(|(_, users)| !users.is_empty());
    let events: Vec<_> = lists
        .map(|(name, user_ids)| json!({"name": name, "user_ids": user_ids}))
        .collect();
    let data = json!({"events": events}).to_string();
    Frame::text(encode("pusher_internal:watchlist_events", None, &data))
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
    data: &EventData<'_>,
    user_id: Option<&str>,
) -> Option<Frame> {
    let text = match data {
        EventData::Text(data) => serde_json::to_string(&ServerFrame {
            event: name,
            channel,
            data,
            user_id,
        }),
        EventData::Json(json) => {
            let json = serde_json::from_str(json);
            json.map(|json| event_of_client(name, channel, json, user_id))
        }
    };
    Some(Frame::text(text.ok()?))
}

/// As `serde_json` writes the [`ServerFrame`], in one piece of memory: in small rooms, this is much of what an event
/// costs.
fn event_of_client(
    name: &str,
    channel: Option<&str>,
    data: &RawValue,
    user_id: Option<&str>,
) -> String {
    let texts = [Some(name), channel, Some(data.get()), user_id];
    let length: usize = texts.into_iter().flatten().map(str::len).sum();
    let mut frame = String::with_capacity(length + PUNCTUATION);
    frame.push_str("{\"event\":");
    json_text::push(&mut frame, name);
    if let Some(channel) = channel {
        frame.push_str(",\"channel\":");
        json_text::push(&mut frame, channel);
    }
    frame.push_str(",\"data\":");
    frame.push_str(data.get());
    if let Some(user_id) = user_id {
        frame.push_str(",\"user_id\":");
        json_text::push(&mut frame, user_id);
    }
    frame.push('}');
    frame
}

fn encode_data(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("strings and JSON always serialize")
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
    use proptest::prelude::*;

    use super::*;

    fn text(frame: &Frame) -> String {
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn frames_match_the_wire() {
        let data = |data: &'static str| EventData::Text(data.into());
        let json = EventData::Json(r#"{"a": [1]}"#);
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
                Frame::text(member_added("presence-a", "ü", None)),
                r#"{"event":"pusher_internal:member_added","channel":"presence-a","data":"{\"user_id\":\"ü\"}"}"#,
            ),
            (
                Frame::text(member_removed("presence-a", "1")),
                r#"{"event":"pusher_internal:member_removed","channel":"presence-a","data":"{\"user_id\":\"1\"}"}"#,
            ),
            (
                signed_in(r#"{"id":"1"}"#),
                r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\":\\\"1\\\"}\"}"}"#,
            ),
            (
                watchlist_events(&["a"], &[]),
                r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"a\"]}]}"}"#,
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

    proptest! {
        #[test]
        fn an_event_of_a_client_is_written_as_serde_json_does(
            name: String,
            channel: Option<String>,
            data in "[a-z\"\\\\\u{1}ü]{0,8}",
            user: Option<String>,
        ) {
            let json = json!([data, 1.5]).to_string();
            let (channel, user_id) = (channel.as_deref(), user.as_deref());
            let frame = event(&name, channel, &EventData::Json(&json), user_id).unwrap();
            let data: &RawValue = serde_json::from_str(&json).unwrap();
            let expected = ServerFrame { event: &name, channel, data, user_id };
            prop_assert_eq!(text(&frame), serde_json::to_string(&expected).unwrap());
        }
    }
}
