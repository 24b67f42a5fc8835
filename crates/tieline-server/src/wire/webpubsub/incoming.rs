//! Frames that clients of the JSON subprotocol send.
//!
//! Owns their syntax, including the deviations of the SDKs. Must not know what an operation does, or the
//! state of the connection. Invariant: an unsupported operation is parsed, so that it can be answered;
//! only malformed or unknown frames are errors, which close the connection.

use std::borrow::Cow;

use super::{
    metadata::{self, MetadataError},
    properties::{Properties, Property, PropertyError},
};
use crate::app::{
    about::Metadata,
    name::{self, InvalidName},
    payload::{DataType, InvalidData, Payload},
};

/// A valid frame.
#[derive(Debug)]
pub(super) enum ClientFrame<'a> {
    /// An operation, which is acknowledged if the frame has an `ackId`.
    Request {
        ack_id: Option<u64>,
        operation: Operation<'a>,
    },
    /// An event, which is acknowledged when it is handled.
    Event {
        ack_id: Option<u64>,
        name: Cow<'a, str>,
        payload: Payload,
    },
    Ping,
    /// A part of a stream, with the stream's id. Not supported.
    Stream(String),
    /// An event whose answer goes back to the client, or why there is none.
    Invoke {
        id: String,
        event: Result<(Cow<'a, str>, Payload), String>,
    },
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
        metadata: Option<Metadata>,
    },
    /// An operation that is not supported, or one whose names or data cannot be passed on.
    Refused(String),
}

/// Why a text frame is not a frame of the subprotocol. The connection closes with 1007.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("invalid frame: {0}")]
    Json(#[from] serde_json::Error),
    #[error("unknown frame type {0:?}")]
    Type(String),
    #[error(transparent)]
    Property(PropertyError),
    #[error("unknown data type {0:?}; use json, text, binary or protobuf")]
    DataType(String),
    #[error(transparent)]
    Data(InvalidData),
}

/// Why a frame is not carried out.
enum FrameError {
    Malformed(Malformed),
    /// Valid, but it cannot be passed on as it is: only the operation fails.
    Refused(String),
}

impl From<Malformed> for FrameError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<PropertyError> for FrameError {
    fn from(error: PropertyError) -> Self {
        match error {
            PropertyError::HalfSurrogate(_) => Self::Refused(error.to_string()),
            error => Self::Malformed(Malformed::Property(error)),
        }
    }
}

impl From<InvalidData> for FrameError {
    fn from(error: InvalidData) -> Self {
        match error {
            InvalidData::Mismatch => Self::Malformed(Malformed::Data(error)),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl From<MetadataError> for FrameError {
    fn from(error: MetadataError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<InvalidName> for FrameError {
    fn from(error: InvalidName) -> Self {
        Self::Refused(error.to_string())
    }
}

impl<'a> ClientFrame<'a> {
    /// Parses a text frame.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let properties = Properties::parse(text)?;
        let ack_id = properties.whole(Property::AckId);
        let ack_id = ack_id.map_err(Malformed::Property)?;
        match Self::read(&properties, ack_id) {
            Ok(frame) => Ok(frame),
            Err(FrameError::Malformed(malformed)) => Err(malformed),
            Err(FrameError::Refused(why)) => Ok(Self::Request {
                ack_id,
                operation: Operation::Refused(why),
            }),
        }
    }

    fn read(properties: &Properties<'a>, ack_id: Option<u64>) -> Result<Self, FrameError> {
        let request = |operation| Self::Request { ack_id, operation };
        let kind = word(properties, Property::Type)?;
        let kind = kind.ok_or(PropertyError::Missing(Property::Type))?;
        // The .NET SDK capitalizes what the others write in lower camel case.
        Ok(match &*kind.to_ascii_lowercase() {
            "joingroup" => request(Operation::JoinGroup {
                group: group(properties)?,
            }),
            "leavegroup" => request(Operation::LeaveGroup {
                group: group(properties)?,
            }),
            "sendtogroup" => match properties.json(Property::Stream) {
                Some(stream) => {
                    Self::stream(&Properties::parse(stream.get()).map_err(Malformed::Json)?)?
                }
                None => request(send_to_group(properties)?),
            },
            "event" => {
                let (name, payload) = event(properties)?;
                Self::Event {
                    ack_id,
                    name,
                    payload,
                }
            }
            "ping" => Self::Ping,
            "sequenceack" | "cancelinvocation" => Self::Ignored,
            "streamdata" | "streamend" => Self::stream(properties)?,
            "invoke" => Self::Invoke {
                id: properties.required(Property::InvocationId)?.into_owned(),
                event: match invoked_event(properties) {
                    Ok(event) => Ok(event),
                    Err(FrameError::Refused(why)) => Err(why),
                    Err(malformed) => return Err(malformed),
                },
            },
            "setgroupstate"
            | "cleargroupstate"
            | "getgroupstate"
            | "listgroupstates"
            | "subscribegroupstate"
            | "subscribegroupstates"
            | "unsubscribegroupstate"
            | "unsubscribegroupstates" => {
                request(Operation::Refused("group state is not supported".into()))
            }
            _ => return Err(Malformed::Type(kind.into_owned()).into()),
        })
    }

    fn stream(properties: &Properties<'a>) -> Result<Self, FrameError> {
        let id = properties.text(Property::StreamId)?;
        Ok(Self::Stream(id.unwrap_or_default().into_owned()))
    }
}

fn send_to_group<'a>(properties: &Properties<'a>) -> Result<Operation<'a>, FrameError> {
    let metadata = properties.json(Property::Metadata);
    let metadata = metadata.map(metadata::parse).transpose()?.flatten();
    let payload = match payload(properties)? {
        Some(payload) => payload,
        // What there is to say is in the metadata.
        None if metadata.is_some() => Payload::text(""),
        None => {
            let why = "data is required and must not be null, unless there is metadata";
            return Err(FrameError::Refused(why.into()));
        }
    };
    Ok(Operation::SendToGroup {
        no_echo: properties.flag(Property::NoEcho)?.unwrap_or(false),
        group: group(properties)?,
        payload,
        metadata,
    })
}

/// The name of a group that there can be: a client that sends to another one would never learn that nobody gets it.
fn group<'a>(properties: &Properties<'a>) -> Result<Cow<'a, str>, FrameError> {
    let group = properties.required(Property::Group)?;
    name::check(&group)?;
    Ok(group)
}

fn event<'a>(properties: &Properties<'a>) -> Result<(Cow<'a, str>, Payload), FrameError> {
    let payload = payload(properties)?;
    let name = properties.required(Property::Event)?;
    // An event needs no data.
    Ok((name, payload.unwrap_or_else(|| Payload::text(""))))
}

fn invoked_event<'a>(properties: &Properties<'a>) -> Result<(Cow<'a, str>, Payload), FrameError> {
    match word(properties, Property::Target)?.as_deref() {
        Some(target) if target.eq_ignore_ascii_case("event") => event(properties),
        _ => Err(FrameError::Refused(
            r#"only events can be invoked: use "target":"event""#.into(),
        )),
    }
}

/// The data with its type; `None` without data, and for null, which clients cannot receive.
fn payload(properties: &Properties<'_>) -> Result<Option<Payload>, FrameError> {
    let Some(data) = properties.json(Property::Data) else {
        return Ok(None);
    };
    let name = word(properties, Property::DataType)?;
    let name = name.as_deref().unwrap_or("json");
    let data_type = DataType::parse(name).ok_or_else(|| Malformed::DataType(name.to_owned()))?;
    Ok(Some(Payload::new(data_type, data)?))
}

/// One of the words that the subprotocol knows; other text is malformed, whatever it is.
fn word<'a>(
    properties: &Properties<'a>,
    property: Property,
) -> Result<Option<Cow<'a, str>>, Malformed> {
    properties.text(property).map_err(Malformed::Property)
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
        assert_eq!(payload.to_note().data(), b"x");
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
    fn what_is_not_supported_is_refused_and_not_taken_for_nonsense() {
        for kind in [
            "setGroupState",
            "clearGroupState",
            "getGroupState",
            "listGroupStates",
            "subscribeGroupStates",
            "unsubscribeGroupStates",
        ] {
            let text = format!(r#"{{"type":"{kind}","group":"g","ackId":4}}"#);
            let frame = ClientFrame::parse(&text);
            let is_refused = matches!(
                frame,
                Ok(ClientFrame::Request {
                    ack_id: Some(4),
                    operation: Operation::Refused(_),
                })
            );
            assert!(is_refused, "{kind}: {frame:?}");
        }
    }

    #[test]
    fn an_event_needs_no_data() {
        let text = r#"{"type":"event","event":"online"}"#;
        assert!(matches!(
            ClientFrame::parse(text),
            Ok(ClientFrame::Event { ack_id: None, .. })
        ));
    }
}
