//! What a frame of a client is, for operators who follow it, by its first bytes.
//!
//! Owns which properties say so. Must not know who follows. Invariant: a frame is not judged: what cannot be read, or
//! begins beyond these bytes, is left out.

use serde_json::Value;

use super::dialects;
use crate::app::follow::{FrameLabel, cut, each_field};

/// The label of a frame in either direction. Simple clients have bare payloads, without one.
pub(crate) fn label(subprotocol: Option<&str>, payload: &[u8]) -> FrameLabel {
    let mut label = FrameLabel::default();
    if !subprotocol.is_some_and(dialects::is_json) {
        return label;
    }
    let text = |value: &Value| value.as_str().map(cut);
    each_field(payload, |key, value| match key {
        "type" => label.kind = text(value),
        "from" => label.from = text(value),
        "group" => label.group = text(value),
        "event" => label.event = text(value),
        "ackId" => label.ack_id = value.as_u64(),
        "success" => label.success = value.as_bool(),
        "error" => label.error = value.get("name").and_then(text),
        _ => {}
    });
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> FrameLabel {
        label(Some("json.webpubsub.azure.v1"), text.as_bytes())
    }

    #[test]
    fn a_label_is_read_from_the_first_bytes() {
        let whole =
            r#"{"type":"sendToGroup","group":"lobby","ackId":7,"dataType":"text","data":"a long"#;
        let label = of(whole);
        assert_eq!(label.kind.as_deref(), Some("sendToGroup"));
        assert_eq!(label.group.as_deref(), Some("lobby"));
        assert_eq!(label.ack_id, Some(7));
        // Cut anywhere, it says less and nothing wrong.
        for end in 0..whole.len() {
            let FrameLabel {
                kind,
                group,
                ack_id,
                ..
            } = of(&whole[..end]);
            assert!(kind.is_none_or(|kind| kind == "sendToGroup"));
            assert!(group.is_none_or(|group| group == "lobby"));
            assert!(ack_id.is_none_or(|id| id == 7));
        }
        let failed = r#"{"type":"ack","ackId":3,"success":false,"error":{"name":"Forbidden","message":"no"}}"#;
        let label = of(failed);
        assert_eq!(label.success, Some(false));
        assert_eq!(label.error.as_deref(), Some("Forbidden"));
    }

    #[test]
    fn what_is_no_frame_has_no_label() {
        for text in [
            "",
            "{",
            "[1]",
            "7",
            r#"{"type":7,"group":{},"error":3}"#,
            "\u{0}",
        ] {
            assert_eq!(of(text), FrameLabel::default(), "{text}");
        }
        let deep = "[".repeat(2000);
        assert_eq!(of(&format!(r#"{{"x":{deep}"#)), FrameLabel::default());
        assert_eq!(label(None, br#"{"type":"x"}"#), FrameLabel::default());
        let long = "ü".repeat(500);
        let kind = of(&format!(r#"{{"type":"{long}"}}"#)).kind.unwrap();
        assert_eq!(kind.len(), 256);
    }
}
