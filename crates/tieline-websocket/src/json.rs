//! Messages that are JSON.
//!
//! Owns the conversion from and to the application's types. Knows no connection.

use std::{error, fmt};

use serde::{Serialize, de::Deserialize};

use crate::{frame::Frame, message::Message};

/// A value could not be written as JSON, or a message is not the JSON that was expected.
///
/// The text says what is wrong and where, by line and column. It may quote parts of the message.
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl JsonError {
    /// Whether the text is JSON, but not of the expected type.
    pub fn is_data(&self) -> bool {
        self.0.is_data()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for JsonError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source()
    }
}

impl Frame {
    /// A text message with a value as JSON, without white space.
    ///
    /// ```
    /// use serde::Serialize;
    /// use tieline_websocket::Frame;
    ///
    /// #[derive(Serialize)]
    /// struct Moved { x: u32, y: u32 }
    ///
    /// let frame = Frame::json(&Moved { x: 3, y: 4 })?;
    /// assert_eq!(frame, Frame::text(r#"{"x":3,"y":4}"#));
    /// # Ok::<(), tieline_websocket::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// If the value's `Serialize` fails, or it contains a map whose keys are no strings.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        serde_json::to_string(value)
            .map(Frame::text)
            .map_err(JsonError)
    }
}

impl Message {
    /// The value that a message contains as JSON. Text and binary messages are read alike; the value
    /// may borrow from the message.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use tieline_websocket::Message;
    ///
    /// #[derive(Deserialize)]
    /// struct Said<'a> { room: &'a str }
    ///
    /// let message = Message::Text(r#"{"room":"lobby"}"#.into());
    /// assert_eq!(message.json::<Said>()?.room, "lobby");
    /// # Ok::<(), tieline_websocket::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// If the message is not JSON, or not of this type. JSON that is nested more than 128 levels deep
    /// is refused, so that no message can exhaust the stack.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        serde_json::from_slice(self.as_bytes()).map_err(JsonError)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_survive_the_round_trip() {
        let value = BTreeMap::from([("ü", vec![1, 2]), ("b", vec![])]);
        let frame = Frame::json(&value).unwrap();
        assert_eq!(frame.payload(), r#"{"b":[],"ü":[1,2]}"#.as_bytes());
        for message in [
            Message::Text(String::from_utf8(frame.payload().to_vec()).unwrap()),
            Message::Binary(frame.payload().to_vec()),
        ] {
            assert_eq!(message.json::<BTreeMap<&str, Vec<u8>>>().unwrap(), value);
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let value = BTreeMap::from([(vec![1], 1)]);
        assert!(Frame::json(&value).is_err(), "keys must be strings");
    }

    #[test]
    fn messages_that_are_not_as_expected_are_errors() {
        let read = |text: &str| Message::Text(text.to_owned()).json::<Vec<u32>>();
        let wrong_type = read("[1, \"two\"]").unwrap_err();
        assert!(wrong_type.is_data());
        assert!(
            wrong_type.to_string().contains("line 1 column 9"),
            "{wrong_type}"
        );
        for text in ["", "[1", "[1] 2", "\u{feff}[]"] {
            assert!(!read(text).unwrap_err().is_data(), "{text}");
        }
        let deep = Message::Text("[".repeat(1_000_000));
        assert!(deep.json::<serde_json::Value>().is_err());
    }
}
