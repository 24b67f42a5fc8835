//! How the clients of the wire read messages.
//!
//! Owns the dialects: the JSON subprotocol, the same with numbers, and bare payloads for simple clients; and the
//! names of the subprotocols. Must not know who the receivers are. Invariants: what is no payload, such as a note
//! of another program, is sent to nobody; only messages have numbers, and what a backend says last, never acks and
//! other answers.

use tieline::{Dialect, DialectId, Dialects, Frame, Note, NoteOrigin, Numbering};

use super::outgoing;
use crate::app::{
    about::About,
    close,
    payload::{DataType, Payload},
};

pub(super) const JSON: &str = "json.webpubsub.azure.v1";

/// Numbers each message, so that a client can say how far it has got.
pub(super) const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

/// Whether a subprotocol is one of JSON frames.
pub(super) fn is_json(subprotocol: &str) -> bool {
    [JSON, RELIABLE]
        .iter()
        .any(|name| subprotocol.eq_ignore_ascii_case(name))
}

/// The dialects of the wire in a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DialectIds {
    json: DialectId,
    reliable: DialectId,
    /// Of simple clients.
    pub(super) simple: DialectId,
}

impl DialectIds {
    pub(crate) fn add_to(dialects: &mut Dialects) -> Self {
        Self {
            json: dialects.add(Json),
            reliable: dialects.add(Reliable),
            simple: dialects.add(Simple),
        }
    }

    /// How clients of a subprotocol read, if it is one of JSON frames.
    pub(super) fn of_subprotocol(self, name: &str) -> Option<DialectId> {
        if name.eq_ignore_ascii_case(JSON) {
            Some(self.json)
        } else if name.eq_ignore_ascii_case(RELIABLE) {
            Some(self.reliable)
        } else {
            None
        }
    }
}

/// Envelopes of `json.webpubsub.azure.v1`.
struct Json;

impl Dialect for Json {
    fn render(&self, note: &Note) -> Option<Frame> {
        if let Some(text) = close::farewell(note) {
            return Some(outgoing::farewell(text));
        }
        let payload = Payload::from_note(note)?;
        let about = About::parse(note.about())?;
        Some(match note.origin() {
            NoteOrigin::Group(group) => outgoing::group_message(group, about, &payload),
            _ => outgoing::server_message(about, &payload),
        })
    }
}

/// The same, with a number for each client.
struct Reliable;

impl Dialect for Reliable {
    fn render(&self, note: &Note) -> Option<Frame> {
        Json.render(note)
    }

    fn numbering(&self) -> Numbering {
        Numbering::Member("sequenceId")
    }
}

/// Bare text, JSON or bytes.
struct Simple;

impl Dialect for Simple {
    fn render(&self, note: &Note) -> Option<Frame> {
        match DataType::of_note(note)? {
            DataType::Text | DataType::Json => {
                Some(Frame::text(std::str::from_utf8(note.data()).ok()?))
            }
            DataType::Binary | DataType::Protobuf => Some(Frame::binary(note.data())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(payload: &Payload) -> Vec<u8> {
        let frame = Simple.render(&payload.to_note()).unwrap();
        frame.payload().to_vec()
    }

    #[test]
    fn simple_clients_get_bare_payloads() {
        assert_eq!(bare(&Payload::text("a\"b")), b"a\"b");
        assert_eq!(bare(&Payload::json(&"a")), b"\"a\"");
        assert_eq!(bare(&Payload::binary(&[0, 255])), [0, 255]);
    }

    #[test]
    fn clients_of_the_subprotocol_get_an_envelope() {
        let frame = Json.render(&Payload::json(&["a"]).to_note()).unwrap();
        let expected = r#"{"type":"message","from":"server","dataType":"json","data":["a"]}"#;
        assert_eq!(frame.payload(), expected.as_bytes());
    }

    #[test]
    fn what_is_no_payload_is_sent_to_nobody() {
        for note in [Note::other(9, "x"), Note::other(0, "no JSON")] {
            assert!(Json.render(&note).is_none(), "{note:?}");
        }
        assert!(Simple.render(&Note::other(9, "x")).is_none());
    }
}
