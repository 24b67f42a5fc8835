//! What a frame of a client is, for operators who follow it, by its first bytes.
//!
//! Owns which properties say so. Must not know who follows.

use serde_json::Value;

use crate::app::follow::{FrameLabel, cut, each_field};

/// The label of a frame in either direction: its event, and its channel.
pub(crate) fn label(payload: &[u8]) -> FrameLabel {
    let mut label = FrameLabel::default();
    let text = |value: &Value| value.as_str().map(cut);
    each_field(payload, |key, value| match key {
        "event" => label.kind = text(value),
        "channel" => label.group = text(value),
        "user_id" => label.from = text(value),
        // That of a subscription is in its data.
        "data" if label.group.is_none() => label.group = value.get("channel").and_then(text),
        _ => {}
    });
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_event_and_the_channel() {
        for (text, kind, channel) in [
            (r#"{"event":"pusher:ping","data":{}}"#, "pusher:ping", None),
            (
                r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"a"}}"#,
                "pusher:subscribe",
                Some("a"),
            ),
            (r#"{"event":"e","channel":"a","data":"{\"#, "e", Some("a")),
        ] {
            let label = label(text.as_bytes());
            assert_eq!(label.kind.as_deref(), Some(kind));
            assert_eq!(label.group.as_deref(), channel, "{text}");
        }
        assert_eq!(label(b"[]"), FrameLabel::default());
    }
}
