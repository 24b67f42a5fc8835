//! What the server sends, to clients of the JSON subprotocol and to simple ones.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tieline::{CloseReason, Connection, Frame, Message};

/// How data is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DataType {
    Json,
    Text,
    Binary,
    Protobuf,
}

impl DataType {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match &*name.to_ascii_lowercase() {
            "json" => Self::Json,
            "text" => Self::Text,
            "binary" => Self::Binary,
            "protobuf" => Self::Protobuf,
            _ => return None,
        })
    }
}

/// Data with its type, as JSON: a string for text, a base64 string for binary and protobuf.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    data_type: DataType,
    data: Box<RawValue>,
}

impl Payload {
    /// Data that was checked against its type.
    pub(super) fn raw(data_type: DataType, data: Box<RawValue>) -> Self {
        Self { data_type, data }
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

    /// What a simple client sent.
    pub(super) fn of_message(message: &Message) -> Self {
        match message.as_text() {
            Some(text) => Self::text(text),
            None => Self::binary(message.as_bytes()),
        }
    }

    /// The data as a JSON value of some shape, if the data is JSON and has it.
    pub(crate) fn as_json<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        (self.data_type == DataType::Json).then(|| serde_json::from_str(self.data.get()).ok())?
    }

    /// As a simple client gets it: the bare text, JSON or bytes.
    pub(super) fn for_simple_client(&self) -> Frame {
        let string = || serde_json::from_str::<String>(self.data.get()).unwrap_or_default();
        match self.data_type {
            DataType::Json => Frame::text(self.data.get()),
            DataType::Text => Frame::text(string()),
            DataType::Binary | DataType::Protobuf => {
                Frame::binary(STANDARD.decode(string()).unwrap_or_default())
            }
        }
    }

    /// A message of the server to one client, in the form that the client reads.
    pub(crate) fn for_client(&self, client: &Connection) -> Frame {
        match client.subprotocol() {
            Some(_) => self.as_server_message(),
            None => self.for_simple_client(),
        }
    }

    /// A message of the server, for clients of the JSON subprotocol.
    pub(crate) fn as_server_message(&self) -> Frame {
        self.as_message("server", None, None)
    }

    /// A message that a client sends to a group.
    pub(super) fn as_group_message(&self, group: &str, user: Option<&str>) -> Frame {
        self.as_message("group", Some(group), user)
    }

    fn as_message(&self, from: &'static str, group: Option<&str>, user: Option<&str>) -> Frame {
        frame(&Outgoing::Message {
            from,
            group,
            from_user_id: user,
            data_type: self.data_type,
            data: &self.data,
        })
    }
}

/// Frames of the subprotocol. Absent properties are left out: older clients take a null for the text
/// "null", or throw.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Outgoing<'a> {
    System(System<'a>),
    Ack {
        ack_id: u64,
        success: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure<'a>>,
    },
    Message {
        from: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from_user_id: Option<&'a str>,
        data_type: DataType,
        data: &'a RawValue,
    },
    Pong,
    InvokeResponse {
        invocation_id: &'a str,
        success: bool,
        error: Failure<'a>,
    },
    StreamClosed {
        stream_id: &'a str,
        error: Failure<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum System<'a> {
    Connected {
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        connection_id: &'a str,
    },
    Disconnected {
        message: &'a str,
    },
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Failure<'a> {
    name: &'a str,
    message: &'a str,
}

pub(super) fn connected(connection_id: &str, user_id: Option<&str>) -> Frame {
    frame(&Outgoing::System(System::Connected {
        user_id,
        connection_id,
    }))
}

/// Goes before our close frame.
pub(super) fn disconnected(reason: &CloseReason) -> Frame {
    let said = reason
        .frame()
        .map(|frame| frame.reason)
        .filter(|text| !text.is_empty());
    let message = said.unwrap_or_else(|| reason.to_string());
    frame(&Outgoing::System(System::Disconnected {
        message: &message,
    }))
}

pub(super) fn ack(ack_id: u64) -> Frame {
    frame(&Outgoing::Ack {
        ack_id,
        success: true,
        error: None,
    })
}

pub(super) fn failed_ack(ack_id: u64, name: &str, message: &str) -> Frame {
    frame(&Outgoing::Ack {
        ack_id,
        success: false,
        error: Some(Failure { name, message }),
    })
}

pub(super) fn pong() -> Frame {
    frame(&Outgoing::Pong)
}

pub(super) fn no_invocation(invocation_id: &str) -> Frame {
    let error = Failure {
        name: "NotImplemented",
        message: "invocations are not offered",
    };
    frame(&Outgoing::InvokeResponse {
        invocation_id,
        success: false,
        error,
    })
}

pub(super) fn no_stream(stream_id: &str) -> Frame {
    let error = Failure {
        name: "BadRequest",
        message: "group streams are not offered",
    };
    frame(&Outgoing::StreamClosed { stream_id, error })
}

fn frame(outgoing: &Outgoing<'_>) -> Frame {
    let json = serde_json::to_string(outgoing);
    Frame::text(json.expect("strings, numbers and checked JSON always serialise"))
}

fn encode(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("payloads are made of maps with text keys, lists, text and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Frame) -> String {
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn frames_are_those_of_the_wire() {
        let cases = [
            (
                connected("c", None),
                r#"{"type":"system","event":"connected","connectionId":"c"}"#,
            ),
            (
                connected("c", Some("u")),
                r#"{"type":"system","event":"connected","userId":"u","connectionId":"c"}"#,
            ),
            (ack(3), r#"{"type":"ack","ackId":3,"success":true}"#),
            (
                failed_ack(3, "Forbidden", "no"),
                r#"{"type":"ack","ackId":3,"success":false,"error":{"name":"Forbidden","message":"no"}}"#,
            ),
            (pong(), r#"{"type":"pong"}"#),
            (
                Payload::binary(&[1, 2, 3]).as_server_message(),
                r#"{"type":"message","from":"server","dataType":"binary","data":"AQID"}"#,
            ),
            (
                Payload::text("echo").as_group_message("g1", Some("alice")),
                r#"{"type":"message","from":"group","group":"g1","fromUserId":"alice","dataType":"text","data":"echo"}"#,
            ),
            (
                disconnected(&CloseReason::Drain),
                r#"{"type":"system","event":"disconnected","message":"the node is restarting"}"#,
            ),
        ];
        for (frame, expected) in cases {
            assert_eq!(text(&frame), expected);
        }
    }

    #[test]
    fn simple_clients_get_bare_payloads() {
        assert_eq!(text(&Payload::text("a\"b").for_simple_client()), "a\"b");
        assert_eq!(text(&Payload::json(&"a").for_simple_client()), "\"a\"");
        assert_eq!(
            Payload::binary(&[0, 255]).for_simple_client().payload(),
            [0, 255]
        );
    }
}
