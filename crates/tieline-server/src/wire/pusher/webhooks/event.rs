//! What is posted.
//!
//! Owns the form of events and of a request's body. Must not know who gets them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{json, value::RawValue};

use crate::config::sections::pusher_webhooks::WebhookEvent;

pub(super) const OF_CHANNELS: [WebhookEvent; 2] =
    [WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated];
pub(super) const OF_MEMBERS: [WebhookEvent; 2] =
    [WebhookEvent::MemberAdded, WebhookEvent::MemberRemoved];

/// An event of a channel. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) kind: WebhookEvent,
    pub(super) channel: Arc<str>,
    json: Arc<str>,
}

/// An event that a client has sent to a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientEvent<'a> {
    pub(crate) channel: &'a str,
    pub(crate) name: &'a str,
    /// As the client sent it.
    pub(crate) data: &'a RawValue,
    pub(crate) socket_id: &'a str,
    /// Of the member, on a presence channel.
    pub(crate) user: Option<&'a str>,
}

#[derive(Serialize)]
struct ClientEventBody<'a> {
    name: &'a str,
    channel: &'a str,
    event: &'a str,
    data: &'a str,
    socket_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

impl Event {
    /// One that says no more than the channel: occupied, vacated, or without a cached event.
    pub(super) fn of_channel(kind: WebhookEvent, channel: impl Into<Arc<str>>) -> Self {
        let channel = channel.into();
        let json = json!({ "name": kind.name(), "channel": &*channel });
        Self::new(kind, channel, &json)
    }

    /// A user has come to a presence channel, or has gone.
    pub(super) fn of_member(kind: WebhookEvent, channel: Arc<str>, user: &str) -> Self {
        let json = json!({ "name": kind.name(), "channel": &*channel, "user_id": user });
        Self::new(kind, channel, &json)
    }

    /// A channel has so many subscriptions.
    pub(super) fn of_count(channel: &str, count: u64) -> Self {
        let kind = WebhookEvent::SubscriptionCount;
        let json = json!({ "name": kind.name(), "channel": channel, "subscription_count": count });
        Self::new(kind, channel.into(), &json)
    }

    /// The length of what it says, in bytes.
    pub(super) fn len(&self) -> usize {
        self.json.len()
    }

    pub(super) fn of_client(event: ClientEvent<'_>) -> Self {
        let kind = WebhookEvent::ClientEvent;
        // Libraries read a string and nothing else: other JSON is sent as its text.
        let data = event.data.get();
        let text: Option<String> = serde_json::from_str(data).ok();
        let body = ClientEventBody {
            name: kind.name(),
            channel: event.channel,
            event: event.name,
            data: text.as_deref().unwrap_or(data),
            socket_id: event.socket_id,
            user_id: event.user,
        };
        Self::new(kind, event.channel.into(), &json!(body))
    }

    fn new(kind: WebhookEvent, channel: Arc<str>, json: &serde_json::Value) -> Self {
        Self {
            kind,
            channel,
            json: json.to_string().into(),
        }
    }
}

/// The body of a request with these events, at a time in milliseconds since 1970.
pub(super) fn body<'a>(time: u128, events: impl Iterator<Item = &'a Event>) -> String {
    let events: Vec<_> = events.map(|event| &*event.json).collect();
    format!(r#"{{"time_ms":{time},"events":[{}]}}"#, events.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(event: &Event) -> serde_json::Value {
        let body = body(1_327_078_148_132, [event].into_iter());
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["time_ms"], 1_327_078_148_132_u64);
        body["events"][0].clone()
    }

    #[test]
    fn events_have_the_fields_of_the_documentation() {
        let vacated = Event::of_channel(WebhookEvent::ChannelVacated, "a");
        let expected = json!({ "name": "channel_vacated", "channel": "a" });
        assert_eq!(posted(&vacated), expected);
        let added = Event::of_member(WebhookEvent::MemberAdded, "presence-a".into(), "7");
        let expected = json!({ "name": "member_added", "channel": "presence-a", "user_id": "7" });
        assert_eq!(posted(&added), expected);
        let count = Event::of_count("a", 3);
        let expected =
            json!({ "name": "subscription_count", "channel": "a", "subscription_count": 3 });
        assert_eq!(posted(&count), expected);
    }

    #[test]
    fn the_data_of_a_client_is_a_string_whatever_it_sent() {
        for (sent, posted_data) in [
            ("{\"a\": [1]}", "{\"a\": [1]}"),
            ("\"{\\\"a\\\":1}\"", "{\"a\":1}"),
            ("\"plain\"", "plain"),
            ("7", "7"),
            ("null", "null"),
        ] {
            let event = ClientEvent {
                channel: "private-a",
                name: "client-x",
                data: serde_json::from_str(sent).unwrap(),
                socket_id: "1.2",
                user: None,
            };
            let mut expected = json!({
                "name": "client_event", "channel": "private-a", "event": "client-x",
                "data": posted_data, "socket_id": "1.2",
            });
            assert_eq!(posted(&Event::of_client(event)), expected, "{sent}");
            let user = Some("ada");
            expected["user_id"] = json!("ada");
            assert_eq!(
                posted(&Event::of_client(ClientEvent { user, ..event })),
                expected
            );
        }
    }

    #[test]
    fn a_body_may_have_several_events() {
        let event = |name: &'static str| Event::of_channel(WebhookEvent::CacheMiss, name);
        let body = body(1, [event("a"), event("b")].iter());
        let expected = r#"{"time_ms":1,"events":[{"channel":"a","name":"cache_miss"},{"channel":"b","name":"cache_miss"}]}"#;
        assert_eq!(body, expected);
    }
}
