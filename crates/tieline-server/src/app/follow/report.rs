//! What is told of a frame.
//!
//! Owns how much of it is told. Must not know the syntax of any wire: it asks one for the label of a frame.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use tieline::{Connection, FrameKind, Observed};

/// Bytes of a frame in which a wire looks for its label.
pub(super) const LABEL_BYTES: usize = 2048;

/// Most bytes of a payload that are told.
const MAX_PAYLOAD: usize = 1024;

/// Most bytes of a name or a message that are told.
const MAX_TEXT: usize = 256;

/// How a node tells of frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FollowSettings {
    /// Whether payloads are told.
    pub(crate) show_payloads: bool,
    /// What the client's wire calls a frame, by its first bytes.
    pub(crate) label: fn(client: &Connection, payload: &[u8]) -> FrameLabel,
}

/// What a frame is on its wire. Absent where the wire has no such thing, or the first bytes do not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FrameLabel {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ack_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// A frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FrameReport {
    /// As WebSocket calls it.
    frame: String,
    #[serde(flatten)]
    label: FrameLabel,
    /// Of the payload, uncompressed.
    bytes: u64,
    /// The beginning of the payload, if that may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The same, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl FollowSettings {
    /// What is told of a frame. `pieces` is the label of the message that is in pieces: the first one has it, and the
    /// others have no more than its rest. Only messages to clients are.
    pub(super) fn report(
        &self,
        client: &Connection,
        observed: &Observed,
        pieces: &mut FrameLabel,
    ) -> FrameReport {
        let payload = &observed.payload[..];
        let label = match observed.kind {
            FrameKind::Text | FrameKind::Binary => (self.label)(client, payload),
            FrameKind::Fragment => {
                if observed.begins_message {
                    *pieces = (self.label)(client, payload);
                }
                pieces.clone()
            }
            _ => FrameLabel::default(),
        };
        let shown = self.show_payloads.then(|| {
            let shown = &payload[..payload.len().min(MAX_PAYLOAD)];
            match observed.kind {
                FrameKind::Text => (Some(lossy(shown)), None),
                _ => (None, Some(STANDARD.encode(shown))),
            }
        });
        let (text, base64) = shown.unwrap_or_default();
        FrameReport {
            frame: word(observed.kind).to_owned(),
            label,
            bytes: observed.len as u64,
            text,
            base64,
        }
    }
}

/// As text; a character at the end that is not complete is left out.
fn lossy(bytes: &[u8]) -> String {
    let whole = match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    String::from_utf8_lossy(whole).into_owned()
}

fn word(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Text => "text",
        FrameKind::Binary => "binary",
        FrameKind::Ping => "ping",
        FrameKind::Pong => "pong",
        FrameKind::Close => "close",
        FrameKind::Fragment => "fragment",
    }
}

/// A name or a message, of bounded length.
pub(crate) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}
