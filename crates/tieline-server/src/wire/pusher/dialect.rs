//! How clients of the wire read messages.
//!
//! Owns which event a note is. Must not know who the receivers are. Invariant: what is no event, such as a note of
//! another program, is sent to nobody.

use tieline::{Dialect, DialectId, Dialects, Frame, Note, NoteKind, NoteOrigin};

use super::{
    channel::{Channel, ChannelKind},
    event::Event,
    outgoing,
};

/// A kind of notes that are whole frames of this wire, which clients of other wires do not get. Nodes of a cluster
/// tell them each other: never change it.
const FRAME: u8 = 3;

/// The dialect of the wire in a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PusherDialect(pub(super) DialectId);

impl PusherDialect {
    pub(crate) fn add_to(dialects: &mut Dialects) -> Self {
        Self(dialects.add(Pusher))
    }
}

/// A whole frame, as a note that only clients of this wire read.
pub(super) fn frame(text: String) -> Note {
    Note::other(FRAME, text)
}

struct Pusher;

impl Dialect for Pusher {
    fn render(&self, note: &Note) -> Option<Frame> {
        if note.kind() == NoteKind::Other(FRAME) {
            return Some(Frame::text(std::str::from_utf8(note.data()).ok()?));
        }
        let event = Event::of_note(note)?;
        let channel = match note.origin() {
            NoteOrigin::Group(group) => Some(&**group),
            _ => None,
        };
        let is_presence =
            |name| Channel::parse(name).map(Channel::kind) == Ok(ChannelKind::Presence);
        let member = event.sender.filter(|_| channel.is_some_and(is_presence));
        outgoing::event(&event.name, channel, &event.data, member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::payload::Payload, wire::pusher::event};

    fn rendered(note: &Note) -> Option<String> {
        let frame = Pusher.render(note)?;
        Some(String::from_utf8(frame.payload().to_vec()).unwrap())
    }

    #[test]
    fn a_message_to_no_channel_is_an_event_without_one() {
        let note = event::of_backend("greeting", "{\"a\": 1}");
        let expected = r#"{"event":"greeting","data":"{\"a\": 1}"}"#;
        assert_eq!(rendered(&note).as_deref(), Some(expected));
        let note = Payload::binary(&[1, 2, 3]).to_note();
        let expected = r#"{"event":"message","data":"AQID"}"#;
        assert_eq!(rendered(&note).as_deref(), Some(expected));
    }

    #[test]
    fn a_whole_frame_is_sent_as_it_is() {
        let note = Note::other(FRAME, "{\"event\":\"x\"}");
        assert_eq!(rendered(&note).as_deref(), Some("{\"event\":\"x\"}"));
    }

    #[test]
    fn what_is_no_event_is_sent_to_nobody() {
        for note in [
            Note::other(9, "x"),
            Note::other(2, "the farewell of another wire"),
        ] {
            assert_eq!(rendered(&note), None, "{note:?}");
        }
    }
}
