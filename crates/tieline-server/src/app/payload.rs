//! Payloads: data with its type, in the form that every wire can encode.
//!
//! Owns the check of data against its type and of what every client can read, and the conversion from and
//! to bare messages. Must not know envelopes, groups or users. Invariants: the data of a [`Payload`] always
//! matches its type, so encoding it cannot fail; data from a client breaks no parser of another.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tieline::{Bytes, Message, Note, NoteKind};

/// How the data of a payload is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DataType {
    Json,
    Text,
    Binary,
    Protobuf,
}

impl DataType {
    /// The type of that name, in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match &*name.to_ascii_lowercase() {
            "json" => Self::Json,
            "text" => Self::Text,
            "binary" => Self::Binary,
            "protobuf" => Self::Protobuf,
            _ => return None,
        })
    }

    /// The type of a note's data; `None` if it is no payload.
    pub(crate) fn of_note(note: &Note) -> Option<Self> {
        Some(match note.kind() {
            NoteKind::Text => Self::Text,
            NoteKind::Binary => Self::Binary,
            NoteKind::Other(JSON) => Self::Json,
            NoteKind::Other(PROTOBUF) => Self::Protobuf,
            NoteKind::Other(_) => return None,
        })
    }
}

/// Kinds of notes beside text and bytes. Nodes of a cluster tell them each other: never change them.
const JSON: u8 = 0;
const PROTOBUF: u8 = 1;

/// The deepest nesting of JSON data. Common parsers refuse documents of more than 64 levels and then drop
/// the connection; an envelope adds one.
const MAX_DEPTH: usize = 63;

/// Why data from a client cannot be a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidData {
    /// It does not have the form that its type requires.
    #[error("the data does not match its data type")]
    Mismatch,
    /// It is valid JSON, but text of it has no form in UTF-8, and many parsers refuse it.
    #[error("the data contains half a surrogate pair, which is not a character")]
    HalfSurrogate,
    /// SDKs drop it or throw an exception.
    #[error("the data is null, which clients cannot receive")]
    Null,
    #[error("the data is nested too deeply; at most {MAX_DEPTH} levels are allowed")]
    TooDeep,
}

/// Data with its type. Invariant: `data` is a string for text, a base64 string for binary and
/// protobuf, and any JSON value for JSON.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    data_type: DataType,
    data: Box<RawValue>,
}

impl Payload {
    /// Data from a client, checked against its type.
    pub(crate) fn new(data_type: DataType, data: &RawValue) -> Result<Self, InvalidData> {
        if data_type != DataType::Json && !data.get().starts_with('"') {
            return Err(InvalidData::Mismatch);
        }
        if matches!(data_type, DataType::Binary | DataType::Protobuf) {
            let text: String =
                serde_json::from_str(data.get()).map_err(|_| InvalidData::Mismatch)?;
            STANDARD.decode(text).map_err(|_| InvalidData::Mismatch)?;
        } else {
            check_readable(data.get())?;
        }
        let data = data.to_owned();
        Ok(Self { data_type, data })
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self {
            data_type: DataType::Json,
            data: encode(value),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self {
            data_type: DataType::Text,
            data: encode(&text),
        }
    }

    pub(crate) fn binary(bytes: &[u8]) -> Self {
        Self {
            data_type: DataType::Binary,
            data: encode(&STANDARD.encode(bytes)),
        }
    }

    /// The payload of a bare WebSocket message.
    pub(crate) fn from_message(message: &Message) -> Self {
        match message.as_text() {
            Some(text) => Self::text(text),
            None => Self::binary(message.as_bytes()),
        }
    }

    /// Data from a backend, checked against its type: the bare text, JSON or bytes.
    pub(crate) fn note(data_type: DataType, data: Bytes) -> Result<Note, InvalidData> {
        Ok(match data_type {
            DataType::Json => {
                let json: &RawValue =
                    serde_json::from_slice(&data).map_err(|_| InvalidData::Mismatch)?;
                check_readable(json.get())?;
                if json.get() == "null" {
                    return Err(InvalidData::Null);
                }
                Note::other(JSON, json.get().to_owned())
            }
            DataType::Text => {
                let text = String::from_utf8(data.into());
                Note::text(text.map_err(|_| InvalidData::Mismatch)?)
            }
            DataType::Binary => Note::binary(data),
            DataType::Protobuf => Note::other(PROTOBUF, data),
        })
    }

    /// JSON data from a client, checked as by [`Payload::new`] and as it is sent.
    pub(crate) fn json_note(data: &RawValue) -> Result<Note, InvalidData> {
        check_readable(data.get())?;
        Ok(Note::other(JSON, data.get().to_owned()))
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The data as JSON text.
    pub(crate) fn data(&self) -> &RawValue {
        &self.data
    }

    /// Deserializes JSON data; `None` if the data has another type or shape.
    pub(crate) fn deserialize<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        (self.data_type == DataType::Json).then(|| serde_json::from_str(self.data.get()).ok())?
    }

    /// The payload as it is sent: bare text, JSON or bytes.
    pub(crate) fn to_note(&self) -> Note {
        let string = || serde_json::from_str::<String>(self.data.get()).unwrap_or_default();
        let bytes = || STANDARD.decode(string()).unwrap_or_default();
        match self.data_type {
            DataType::Json => Note::other(JSON, self.data.get().to_owned()),
            DataType::Text => Note::text(string()),
            DataType::Binary => Note::binary(bytes()),
            DataType::Protobuf => Note::other(PROTOBUF, bytes()),
        }
    }

    /// The payload that was sent; `None` if the note is none.
    pub(crate) fn from_note(note: &Note) -> Option<Self> {
        let data_type = DataType::of_note(note)?;
        Some(match data_type {
            DataType::Text => Self::text(note.as_text()?),
            DataType::Json => Self {
                data_type,
                data: serde_json::from_slice(note.data()).ok()?,
            },
            DataType::Binary | DataType::Protobuf => Self {
                data_type,
                ..Self::binary(note.data())
            },
        })
    }
}

/// Whether every client can read this valid JSON.
fn check_readable(json: &str) -> Result<(), InvalidData> {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut in_text) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' => at += escape_length(&bytes[at..]).ok_or(InvalidData::HalfSurrogate)?,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(InvalidData::TooDeep);
                }
            }
            b']' | b'}' if !in_text => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// The length of an escape after its backslash, the second of a surrogate pair included; `None` for half a
/// pair.
fn escape_length(escape: &[u8]) -> Option<usize> {
    const SINGLE: usize = "u0000".len();
    let unit = |escape: &[u8]| {
        let digits = std::str::from_utf8(escape.strip_prefix(b"u")?.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(escape) {
        None => Some(1),
        Some(0xd800..=0xdbff) => {
            let second = escape.get(SINGLE..)?.strip_prefix(b"\\")?;
            matches!(unit(second), Some(0xdc00..=0xdfff)).then_some(SINGLE + 1 + SINGLE)
        }
        Some(0xdc00..=0xdfff) => None,
        Some(_) => Some(SINGLE),
    }
}

fn encode(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("payloads are made of maps with text keys, lists, text and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data_type: DataType, json: &str) -> Result<Payload, InvalidData> {
        Payload::new(data_type, serde_json::from_str(json).unwrap())
    }

    #[test]
    fn data_must_match_its_type() {
        for (data_type, json) in [
            (DataType::Json, "[1]"),
            (DataType::Text, r#""x""#),
            (DataType::Binary, r#""AQID""#),
            (DataType::Protobuf, r#""AQID""#),
        ] {
            assert!(parse(data_type, json).is_ok(), "{data_type:?} {json}");
        }
        for (data_type, json) in [
            (DataType::Text, "1"),
            (DataType::Binary, r#""?""#),
            (DataType::Protobuf, "{}"),
        ] {
            let error = parse(data_type, json).unwrap_err();
            assert_eq!(error, InvalidData::Mismatch, "{data_type:?} {json}");
        }
    }

    #[test]
    fn surrogates_come_in_pairs() {
        for json in [
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#"{"\u00e9\n\uD83D\uDE00\"":"\u0000"}"#,
        ] {
            assert!(parse(DataType::Json, json).is_ok(), "{json}");
        }
        for json in [
            r#""\ud83d""#,
            r#""\ud83d ""#,
            r#""\ud83d\n""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ude00\ud83d""#,
            r#""\\\ude00""#,
        ] {
            for data_type in [DataType::Json, DataType::Text] {
                let error = parse(data_type, json).unwrap_err();
                assert_eq!(error, InvalidData::HalfSurrogate, "{json}");
            }
            let as_name = format!("[{{{json}:1}}]");
            assert!(parse(DataType::Json, &as_name).is_err(), "{as_name}");
        }
    }

    #[test]
    fn nesting_is_bounded_outside_of_text() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(DataType::Json, &nested(MAX_DEPTH)).is_ok());
        let error = parse(DataType::Json, &nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error, InvalidData::TooDeep);
        let flat = format!("[{}]", r#"{"a":[]},"#.repeat(100).trim_end_matches(','));
        assert!(parse(DataType::Json, &flat).is_ok());
        let text = format!(r#"["{}\"[[["]"#, "[".repeat(100));
        assert!(parse(DataType::Json, &text).is_ok());
    }

    #[test]
    fn a_payload_is_the_same_after_it_was_sent() {
        for (data_type, json) in [
            (DataType::Json, r#"{"a": [1e999, "\u00e9"], "a": null}"#),
            (DataType::Text, r#""a\"b""#),
            (DataType::Binary, r#""AP8=""#),
            (DataType::Protobuf, r#""AQID""#),
        ] {
            let sent = parse(data_type, json).unwrap();
            let read = Payload::from_note(&sent.to_note()).unwrap();
            assert_eq!((read.data_type, read.data.get()), (data_type, json));
        }
    }
}
