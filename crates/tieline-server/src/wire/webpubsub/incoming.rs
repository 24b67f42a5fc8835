//! Frames that clients of the JSON subprotocol send.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outgoing::{DataType, Payload};

/// A frame, checked.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    JoinGroup {
        group: Cow<'a, str>,
        ack_id: Option<u64>,
    },
    LeaveGroup {
        group: Cow<'a, str>,
        ack_id: Option<u64>,
    },
    SendToGroup {
        group: Cow<'a, str>,
        ack_id: Option<u64>,
        no_echo: bool,
        payload: Payload,
    },
    Event {
        name: Cow<'a, str>,
        ack_id: Option<u64>,
        payload: Payload,
    },
    Ping,
    /// The start of a stream, or a part of one; streams are not offered.
    Stream(String),
    /// A call of a server's function; not offered.
    Invoke(String),
    /// Understood, and nothing to do.
    Nothing,
    /// A known kind that is not offered, or data that cannot be sent on.
    Refused {
        ack_id: Option<u64>,
        why: &'static str,
    },
}

/// A frame that is no frame of the subprotocol; the connection closes with 1007.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the frame is not a JSON object of the subprotocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the frame's type {0:?} is unknown")]
    Type(String),
    #[error("the frame lacks {0:?}")]
    Missing(&'static str),
    #[error("the data type {0:?} is unknown")]
    DataType(String),
    #[error("the data does not fit its data type")]
    Data,
}

/// Every property that any kind of frame has. Unknown ones are ignored, as the wire demands.
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

impl<'a> Incoming<'a> {
    /// Parses a text frame.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let raw: Raw<'a> = serde_json::from_str(text)?;
        // .NET capitalises what the others write in lower camel case.
        Ok(match &*raw.kind.to_ascii_lowercase() {
            "joingroup" => Self::JoinGroup {
                ack_id: raw.ack_id,
                group: raw.group()?,
            },
            "leavegroup" => Self::LeaveGroup {
                ack_id: raw.ack_id,
                group: raw.group()?,
            },
            "sendtogroup" => raw.send_to_group()?,
            "event" => raw.event()?,
            "ping" => Self::Ping,
            "sequenceack" | "cancelinvocation" => Self::Nothing,
            "streamdata" | "streamend" => Self::Stream(raw.stream_id.unwrap_or_default()),
            "invoke" => Self::Invoke(
                raw.invocation_id
                    .ok_or(Malformed::Missing("invocationId"))?,
            ),
            "setgroupstate" | "subscribegroupstate" | "unsubscribegroupstate" => Self::Refused {
                ack_id: raw.ack_id,
                why: "group state is not offered",
            },
            _ => return Err(Malformed::Type(raw.kind.into_owned())),
        })
    }
}

impl<'a> Raw<'a> {
    fn group(self) -> Result<Cow<'a, str>, Malformed> {
        self.group.ok_or(Malformed::Missing("group"))
    }

    fn send_to_group(self) -> Result<Incoming<'a>, Malformed> {
        if let Some(stream) = self.stream {
            return Ok(Incoming::Stream(stream.stream_id.unwrap_or_default()));
        }
        let (ack_id, no_echo) = (self.ack_id, self.no_echo.unwrap_or(false));
        match self.payload()? {
            None => Ok(Incoming::Refused {
                ack_id,
                why: "data must be given and must not be null",
            }),
            Some(payload) => Ok(Incoming::SendToGroup {
                group: self.group()?,
                ack_id,
                no_echo,
                payload,
            }),
        }
    }

    fn event(self) -> Result<Incoming<'a>, Malformed> {
        let (ack_id, payload) = (self.ack_id, self.payload()?);
        let name = self.event.ok_or(Malformed::Missing("event"))?;
        // An event may be only its name.
        let payload = payload.unwrap_or_else(|| Payload::text(""));
        Ok(Incoming::Event {
            name,
            ack_id,
            payload,
        })
    }

    /// The data with its type; `None` for none and for null, which clients cannot take.
    fn payload(&self) -> Result<Option<Payload>, Malformed> {
        let Some(data) = self.data.filter(|data| data.get() != "null") else {
            return Ok(None);
        };
        let named = self.data_type.as_deref().unwrap_or("json");
        let data_type =
            DataType::parse(named).ok_or_else(|| Malformed::DataType(named.to_owned()))?;
        if data_type != DataType::Json {
            let text: Cow<'_, str> =
                serde_json::from_str(data.get()).map_err(|_| Malformed::Data)?;
            let encoded = data_type != DataType::Text;
            if encoded && STANDARD.decode(&*text).is_err() {
                return Err(Malformed::Data);
            }
        }
        Ok(Some(Payload::raw(data_type, data.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_data_types_are_read_in_any_case() {
        let text = r#"{"type":"SendToGroup","group":"g","ackId":1,"dataType":"Text","data":"x"}"#;
        let Ok(Incoming::SendToGroup {
            payload,
            ack_id: Some(1),
            no_echo: false,
            ..
        }) = Incoming::parse(text)
        else {
            panic!("not read");
        };
        assert_eq!(payload.for_simple_client().payload(), b"x");
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        for text in [
            "",
            "x",
            "[]",
            "1",
            "{}",
            r#"{"type":"nope"}"#,
            r#"{"type":"joinGroup"}"#,
        ] {
            assert!(Incoming::parse(text).is_err(), "{text}");
        }
        for data in [
            r#""dataType":"text","data":1"#,
            r#""dataType":"binary","data":"?""#,
        ] {
            let text = format!(r#"{{"type":"sendToGroup","group":"g",{data}}}"#);
            assert!(
                matches!(Incoming::parse(&text), Err(Malformed::Data)),
                "{text}"
            );
        }
    }

    #[test]
    fn null_is_refused_because_clients_cannot_take_it() {
        let text = r#"{"type":"sendToGroup","group":"g","ackId":4,"data":null}"#;
        assert!(matches!(
            Incoming::parse(text),
            Ok(Incoming::Refused {
                ack_id: Some(4),
                ..
            })
        ));
    }

    #[test]
    fn an_event_may_be_only_its_name() {
        let text = r#"{"type":"event","event":"online"}"#;
        assert!(matches!(
            Incoming::parse(text),
            Ok(Incoming::Event { ack_id: None, .. })
        ));
    }
}
