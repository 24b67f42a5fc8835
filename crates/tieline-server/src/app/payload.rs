//! Payloads: data with its type, in the form that every wire can encode.
//!
//! Owns the check of data against its type, and the conversion from and to bare messages. Must not know
//! envelopes, groups or users. Invariant: the data of a [`Payload`] always matches its type, so encoding
//! it cannot fail.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tieline::{Frame, Message};

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
}

/// The data does not have the form that its type requires.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data does not match its data type")]
pub(crate) struct InvalidData;

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
        if data_type != DataType::Json {
            let text: String = serde_json::from_str(data.get()).map_err(|_| InvalidData)?;
            let is_base64 = data_type != DataType::Text;
            if is_base64 && STANDARD.decode(text).is_err() {
                return Err(InvalidData);
            }
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

    /// The payload without an envelope: bare text, JSON or bytes.
    pub(crate) fn to_bare_frame(&self) -> Frame {
        let string = || serde_json::from_str::<String>(self.data.get()).unwrap_or_default();
        match self.data_type {
            DataType::Json => Frame::text(self.data.get()),
            DataType::Text => Frame::text(string()),
            DataType::Binary | DataType::Protobuf => {
                Frame::binary(STANDARD.decode(string()).unwrap_or_default())
            }
        }
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
            assert_eq!(error, InvalidData, "{data_type:?} {json}");
        }
    }

    #[test]
    fn a_bare_frame_has_no_envelope() {
        let text = |payload: Payload| payload.to_bare_frame().payload().to_vec();
        assert_eq!(text(Payload::text("a\"b")), b"a\"b");
        assert_eq!(text(Payload::json(&"a")), b"\"a\"");
        assert_eq!(text(Payload::binary(&[0, 255])), [0, 255]);
    }
}
