//! Whether messages have the shape that the subprotocol says: envelope, group, type of the data, and the data
//! as it was sent.
//!
//! Knows what was sent by the sender's number. Must not be asked for every message: it parses JSON, which would
//! make the load slower than the server. Each process checks its first messages.

use serde::Deserialize;

use super::request::parse;
use crate::{stamp, template::Template};

/// How many messages a process checks.
const CHECKED: u32 = 1_000;

/// Checks the first messages of a process.
#[derive(Debug)]
pub(crate) struct MessageCheck {
    /// The messages that are sent.
    sends: Vec<Template>,
    payload: String,
    left: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    from: String,
    group: Option<String>,
    data_type: String,
    data: String,
}

impl MessageCheck {
    /// Checks copies of messages with this payload by any of the templates.
    pub(crate) fn new(sends: Vec<Template>, payload: String) -> Self {
        Self {
            sends,
            payload,
            left: CHECKED,
        }
    }

    /// Checks a message that the connection with the number `from` has sent, unless enough have been checked.
    #[inline]
    pub(crate) fn check(&mut self, message: &[u8], from: usize) -> Result<(), String> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.parse(message, from)
    }

    #[cold]
    fn parse(&self, message: &[u8], from: usize) -> Result<(), String> {
        let message: Message =
            serde_json::from_slice(message).map_err(|e| format!("a message is malformed: {e}"))?;
        if message.kind != "message" {
            return Err(format!("a message has the type {:?}", message.kind));
        }
        let data = message.data.as_bytes();
        if data.len() != self.payload.len()
            || data.get(stamp::LENGTH..) != self.payload.as_bytes().get(stamp::LENGTH..)
        {
            return Err("a message has other data than was sent".to_owned());
        }
        if self.sends.iter().any(|send| message.is_copy(send, from)) {
            return Ok(());
        }
        let Message {
            from: origin,
            group,
            data_type,
            ..
        } = message;
        let group = group.unwrap_or_default();
        Err(format!(
            "a message has another envelope than it should: from {origin:?}, group {group:?}, dataType {data_type:?}"
        ))
    }
}

impl Message {
    /// Whether the envelope is that of a copy of this message. Only what a message to a group looks like is
    /// known; what another request leads to is up to the server.
    fn is_copy(&self, send: &Template, from: usize) -> bool {
        let Ok(request) = parse(&send.text(from)) else {
            return false;
        };
        if request.kind != "sendToGroup" {
            return true;
        }
        let data_type = request.data_type.as_deref().unwrap_or("json");
        self.from == "group" && self.group == request.group && self.data_type == data_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Scenario, Wire};

    const PAYLOAD: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxyyyy";

    fn check() -> MessageCheck {
        let sends = [Scenario::Rooms, Scenario::Broadcast];
        let sends =
            sends.map(|scenario| Template::parse(&Wire::Json.send_template(scenario, false), 10));
        MessageCheck::new(sends.into(), PAYLOAD.to_owned())
    }

    fn message(group: &str, data_type: &str, data: &str) -> String {
        format!(
            r#"{{"type":"message","from":"group","group":"{group}","fromUserId":"u","dataType":"{data_type}","data":"{data}"}}"#
        )
    }

    #[test]
    fn copies_of_what_was_sent_are_accepted() {
        for group in ["room-1", "all"] {
            let message = message(group, "text", PAYLOAD);
            assert_eq!(check().check(message.as_bytes(), 12), Ok(()));
        }
    }

    #[test]
    fn other_messages_are_refused() {
        let refused = |text: &str| check().check(text.as_bytes(), 12).unwrap_err();
        assert!(refused(PAYLOAD).contains("malformed"));
        assert!(refused(&message("room-2", "text", PAYLOAD)).contains("room-2"));
        assert!(refused(&message("room-1", "binary", PAYLOAD)).contains("binary"));
        assert!(refused(&message("room-1", "text", &PAYLOAD[1..])).contains("other data"));
        let server =
            message("room-1", "text", PAYLOAD).replace(r#""from":"group""#, r#""from":"server""#);
        assert!(refused(&server).contains("server"));
        let other = message("room-1", "text", PAYLOAD).replace("message", "system");
        assert!(refused(&other).contains("system"));
    }

    #[test]
    fn only_the_first_messages_are_checked() {
        let mut check = check();
        let refused = (0..2 * CHECKED).filter(|_| check.check(b"", 0).is_err());
        assert_eq!(refused.count(), CHECKED as usize);
    }
}
