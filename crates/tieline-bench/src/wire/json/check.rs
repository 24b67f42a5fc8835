//! Whether messages have the shape that the subprotocol says: envelope, group, type of the data, and the data
//! as it was sent.

use serde::Deserialize;

use super::request::parse;
use crate::{template::Template, wire::sent::Sent};

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

/// Checks a copy of what the connection with the number `from` has sent.
pub(crate) fn check_copy(sent: &Sent, message: &[u8], from: usize) -> Result<(), String> {
    let message: Message =
        serde_json::from_slice(message).map_err(|e| format!("a message is malformed: {e}"))?;
    if message.kind != "message" {
        return Err(format!("a message has the type {:?}", message.kind));
    }
    sent.check_data(&message.data)?;
    let is_copy = |send| message.is_copy(send, from);
    if sent.templates.iter().any(is_copy) {
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

    fn check(message: &str) -> Result<(), String> {
        let sends = [Scenario::Rooms, Scenario::Broadcast];
        let sends =
            sends.map(|scenario| Template::parse(&Wire::Json.send_template(scenario, false), 10));
        let sent = Sent {
            templates: sends.into(),
            payload: PAYLOAD.to_owned(),
        };
        check_copy(&sent, message.as_bytes(), 12)
    }

    fn message(group: &str, data_type: &str, data: &str) -> String {
        format!(
            r#"{{"type":"message","from":"group","group":"{group}","fromUserId":"u","dataType":"{data_type}","data":"{data}"}}"#
        )
    }

    #[test]
    fn copies_of_what_was_sent_are_accepted() {
        for group in ["room-1", "all"] {
            assert_eq!(check(&message(group, "text", PAYLOAD)), Ok(()));
        }
    }

    #[test]
    fn other_messages_are_refused() {
        let refused = |text: &str| check(text).unwrap_err();
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
}
