//! Frames that clients of the JSON subprotocol send.
//!
//! Owns their syntax, including the deviations of the SDKs. Must not know what an operation does, or the
//! state of the connection. Invariant: an unsupported operation is parsed, so that it can be answered;
//! only malformed or unknown frames are errors, which close the connection.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::payload::{DataType, InvalidData, Payload};

/// A valid frame.
#[derive(Debug)]
pub(super) enum ClientFrame<'a> {
    /// An operation, which is acknowledged if the frame has an `ackId`.
    Request {
        ack_id: Option<u64>,
        operation: Operation<'a>,
    },
    Ping,
    /// A part of a stream, with the stream's id. Not supported.
    Stream(String),
    /// An invocation of the event handler, with its id. Not supported.
    Invoke(String),
    /// A known frame that needs no action.
    Ignored,
}

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Operation<'a> {
    JoinGroup {
        group: Cow<'a, str>,
    },
    LeaveGroup {
        group: Cow<'a, str>,
    },
    SendToGroup {
        group: Cow<'a, str>,
        no_echo: bool,
        payload: Payload,
    },
    Event {
        name: Cow<'a, str>,
        payload: Payload,
    },
    /// An operation that is not supported, or data that clients cannot receive.
    Refused(&'static str),
}

/// Why a text frame is not a frame of the subprotocol. The connection closes with 1007.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("invalid frame: {0}")]
    Json(#[from] serde_json::Error),
    #[error("unknown frame type {0:?}")]
    Type(String),
    #[error("missing property {0:?}")]
    Missing(&'static str),
    #[error("unknown data type {0:?}; use json, text, binary or protobuf")]
    DataType(String),
    #[error(transparent)]
    Data(#[from] InvalidData),
}

/// The properties of all kinds of frame. Unknown ones are ignored, as the wire requires.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    ack_id: Option<u64>,
    no_echo: Option<bool>,
    #[serde(borrow)]
    data_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    stream: Option<Stream>,
    stream_id: Option<String>,
    invocation_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    stream_id: Option<String>,
}

impl<'a> ClientFrame<'a> {
    /// Parses a text frame.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let raw: Raw<'a> = serde_json::from_str(text)?;
        let ack_id = raw.ack_id;
        let request = |operation| Self::Request { ack_id, operation };
        // The .NET SDK capitalizes what the others write in lower camel case.
        Ok(match &*raw.kind.to_ascii_lowercase() {
            "joingroup" => request(Operation::JoinGroup {
                group: raw.group()?,
            }),
            "leavegroup" => request(Operation::LeaveGroup {
                group: raw.group()?,
            }),
            "sendtogroup" => match raw.stream {
                Some(stream) => Self::Stream(stream.stream_id.unwrap_or_default()),
                None => request(raw.send_to_group()?),
            },
            "event" => request(raw.event()?),
            "ping" => Self::Ping,
            "sequenceack" | "cancelinvocation" => Self::Ignored,
            "streamdata" | "streamend" => Self::Stream(raw.stream_id.unwrap_or_default()),
            "invoke" => Self::Invoke(
                raw.invocation_id
                    .ok_or(Malformed::Missing("invocationId"))?,
            ),
            "setgroupstate" | "subscribegroupstate" | "unsubscribegroupstate" => {
                request(Operation::Refused("group state is not supported"))
            }
            _ => return Err(Malformed::Type(raw.kind.into_owned())),
        })
    }
}

impl<'a> Raw<'a> {
    fn group(self) -> Result<Cow<'a, str>, Malformed> {
        self.group.ok_or(Malformed::Missing("group"))
    }

    fn send_to_group(self) -> Result<Operation<'a>, Malformed> {
        let Some(payload) = self.payload()? else {
            return Ok(Operation::Refused("data is required and must not be null"));
        };
        Ok(Operation::SendToGroup {
            no_echo: self.no_echo.unwrap_or(false),
            group: self.group()?,
            payload,
        })
    }

    fn event(self) -> Result<Operation<'a>, Malformed> {
        let payload = self.payload()?;
        let name = self.event.ok_or(Malformed::Missing("event"))?;
        // An event needs no data.
        let payload = payload.unwrap_or_else(|| Payload::text(""));
        Ok(Operation::Event { name, payload })
    }

    /// The data with its type; `None` without data, and for null, which clients cannot receive.
    fn payload(&self) -> Result<Option<Payload>, Malformed> {
        let Some(data) = self.data.filter(|data| data.get() != "null") else {
            return Ok(None);
        };
        let name = self.data_type.as_deref().unwrap_or("json");
        let data_type =
            DataType::parse(name).ok_or_else(|| Malformed::DataType(name.to_owned()))?;
        Ok(Some(Payload::new(data_type, data)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_data_types_are_read_in_any_case() {
        let text = r#"{"type":"SendToGroup","group":"g","ackId":1,"dataType":"Text","data":"x"}"#;
        let Ok(ClientFrame::Request {
            ack_id: Some(1),
            operation:
                Operation::SendToGroup {
                    payload,
                    no_echo: false,
                    ..
                },
        }) = ClientFrame::parse(text)
        else {
            panic!("not read");
        };
        assert_eq!(payload.to_bare_frame().payload(), b"x");
    }

    #[test]
    fn a_malformed_frame_is_an_error() {
        for text in [
            "",
            "x",
            "[]",
            "1",
            "{}",
            r#"{"type":"nope"}"#,
            r#"{"type":"joinGroup"}"#,
        ] {
            assert!(ClientFrame::parse(text).is_err(), "{text}");
        }
        for data in [
            r#""dataType":"text","data":1"#,
            r#""dataType":"binary","data":"?""#,
        ] {
            let text = format!(r#"{{"type":"sendToGroup","group":"g",{data}}}"#);
            assert!(
                matches!(ClientFrame::parse(&text), Err(Malformed::Data(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn null_is_refused_because_clients_cannot_receive_it() {
        let text = r#"{"type":"sendToGroup","group":"g","ackId":4,"data":null}"#;
        assert!(matches!(
            ClientFrame::parse(text),
            Ok(ClientFrame::Request {
                ack_id: Some(4),
                operation: Operation::Refused(_),
            })
        ));
    }

    #[test]
    fn an_event_needs_no_data() {
        let text = r#"{"type":"event","event":"online"}"#;
        assert!(matches!(
            ClientFrame::parse(text),
            Ok(ClientFrame::Request {
                ack_id: None,
                operation: Operation::Event { .. },
            })
        ));
    }
}
