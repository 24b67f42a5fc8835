//! Events as notes, which go through the groups of a hub.
//!
//! Owns how an event of this wire becomes a note that clients of all wires can read, and how any note becomes an
//! event: the name travels as metadata, the data as JSON if it is some, else as text. Must not know frames. Invariant:
//! what a backend published comes out as the same text, byte for byte.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tieline::{Bytes, Note};

use crate::app::{
    about::{self, About},
    channels,
    payload::{DataType, Payload},
};

/// The name of the metadata that is the name of an event.
const NAME: &str = channels::EVENT;

/// What messages of other wires are called that do not say it.
const UNNAMED: &str = "message";

/// Begins the name of an event that a client sends.
pub(super) const OF_CLIENT: &str = "client-";

/// An event that a backend publishes.
pub(super) fn of_backend(name: &str, data: &str) -> Note {
    // JSON with blanks around it would come out without, and that of a name of clients' as JSON instead of text.
    let is_json = data.trim().len() == data.len() && !name.starts_with(OF_CLIENT);
    let bytes = || Bytes::copy_from_slice(data.as_bytes());
    let json = is_json.then(|| Payload::note(DataType::Json, bytes()).ok());
    let note = json.flatten().unwrap_or_else(|| Note::text(data));
    note.with_about(about::of_pair("", NAME, name))
}

/// An event that a client sends, on a presence channel as this member.
pub(super) fn of_client(name: &str, data: &RawValue, member: Option<&str>) -> Option<Note> {
    let note = Payload::json_note(data).ok()?;
    let sender = member.unwrap_or_default();
    Some(note.with_about(about::of_pair(sender, NAME, name)))
}

/// A note as an event.
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) data: EventData<'a>,
    /// The user who sent it, if one did who is not known to be no member of the channel.
    pub(super) sender: Option<&'a str>,
}

/// The data of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EventData<'a> {
    /// A text, whatever it says.
    Text(Cow<'a, str>),
    /// JSON as a client sent it, which goes out as it came.
    Json(&'a str),
}

#[derive(Deserialize)]
struct NamedEvent {
    #[serde(default)]
    event: Option<String>,
}

impl<'a> Event<'a> {
    /// Reads a note; `None` if it is no message.
    pub(super) fn of_note(note: &'a Note) -> Option<Self> {
        let (name, sender) = match about::plain_pair(note.about(), NAME) {
            Some((sender, name)) => (Cow::Borrowed(name), sender),
            None => read_about(note.about())?,
        };
        let data_type = DataType::of_note(note)?;
        let data = match data_type {
            DataType::Text | DataType::Json => {
                let data = std::str::from_utf8(note.data()).ok()?;
                if data_type == DataType::Json && name.starts_with(OF_CLIENT) {
                    EventData::Json(data)
                } else {
                    EventData::Text(data.into())
                }
            }
            DataType::Binary | DataType::Protobuf => {
                let payload = Payload::from_note(note)?;
                let text: String = serde_json::from_str(payload.data().get()).ok()?;
                EventData::Text(text.into())
            }
        };
        Some(Self { name, data, sender })
    }
}

/// The name and the sender in any `about`; `None` if it is none of ours.
fn read_about(about: &[u8]) -> Option<(Cow<'_, str>, Option<&str>)> {
    let About {
        sender,
        is_outsider,
        metadata,
    } = About::parse(about)?;
    let sender = sender.filter(|_| !is_outsider);
    let named = metadata.and_then(|json| serde_json::from_str(json.get()).ok());
    let name = named.and_then(|NamedEvent { event }| event);
    Some((name.map_or(UNNAMED.into(), Cow::Owned), sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(note: &Note) -> (String, EventData<'_>, Option<String>) {
        let event = Event::of_note(note).unwrap();
        let sender = event.sender.map(str::to_owned);
        (event.name.into_owned(), event.data, sender)
    }

    #[test]
    fn what_a_backend_published_comes_out_as_the_same_text() {
        for data in [
            "",
            "hello",
            "{\"a\": [1]}",
            " {}",
            "null",
            "\"x\"",
            "1 ",
            "\"\\ud800\"",
            "ü",
        ] {
            let note = of_backend("greeting", data);
            let (name, event, sender) = read(&note);
            assert_eq!((&*name, sender), ("greeting", None));
            assert_eq!(event, EventData::Text(data.into()), "{data}");
        }
        let note = of_backend("client-x", "{}");
        let (_, event, _) = read(&note);
        assert_eq!(event, EventData::Text("{}".into()));
        let is_json = |data| DataType::of_note(&of_backend("x", data)) == Some(DataType::Json);
        assert!(is_json("{\"a\": [1]}") && is_json("1"));
        assert!(!is_json("hello") && !is_json(" {}") && !is_json("null"));
    }

    #[test]
    fn what_a_client_sent_comes_out_as_the_same_json() {
        for data in ["{\"a\": 1}", "\"text\"", "[]", "7"] {
            let json: &RawValue = serde_json::from_str(data).unwrap();
            let note = of_client("client-x", json, Some("ada")).unwrap();
            let (name, event, sender) = read(&note);
            assert_eq!((&*name, sender.as_deref()), ("client-x", Some("ada")));
            assert_eq!(event, EventData::Json(data));
        }
    }

    #[test]
    fn the_name_is_the_same_however_it_is_read() {
        for about in [
            "ada",
            "\0{\"event\":\"x\"}\0ada",
            "\0{\"event\":\"x\"}\0",
            "\0{\"event\":\"\\u0078\"}\0ada",
            "\0{ \"event\":\"x\"}\0ada",
            "\0{\"event\":\"x\",\"event\":\"y\"}\0ada",
            "\0{\"event\":null,\"a\":\"b\"}\0ada",
        ] {
            let note = Note::text("").with_about(about);
            let event = Event::of_note(&note).unwrap();
            let expected = read_about(about.as_bytes()).unwrap();
            assert_eq!((event.name, event.sender), expected, "{about:?}");
        }
        let note = Note::text("").with_about("\0{\"event\":\"x\"}");
        assert!(Event::of_note(&note).is_none());
    }

    #[test]
    fn messages_of_other_wires_are_events_too() {
        let plain = Note::text("hi").with_about(about::of("ada", None));
        let text = |text: &'static str| EventData::Text(text.into());
        assert_eq!(
            read(&plain),
            ("message".into(), text("hi"), Some("ada".into()))
        );
        let outsider = Note::text("hi").with_about(about::of_outsider("ada", None));
        assert_eq!(read(&outsider), ("message".into(), text("hi"), None));
        let binary = Payload::binary(&[1, 2, 3]).to_note();
        assert_eq!(read(&binary), ("message".into(), text("AQID"), None));
        let json = Payload::json(&[1]).to_note();
        assert_eq!(read(&json).1, text("[1]"));
        assert!(Event::of_note(&Note::other(9, "x")).is_none());
    }
}
