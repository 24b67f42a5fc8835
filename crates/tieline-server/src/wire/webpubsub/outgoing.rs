//! Frames that the server sends to clients of the JSON subprotocol.
//!
//! Owns their encoding. Must not know which connections a frame
//! goes to, or when it is sent. Invariant: absent properties are left out, never null.

use serde::Serialize;
use serde_json::value::RawValue;
use tieline::{CloseReason, Closing, Farewell, Frame};

use crate::app::{
    about::About,
    close,
    payload::{DataType, Payload},
};

/// A message from the server. Whoever sent it is not told.
pub(super) fn server_message(about: About<'_>, payload: &Payload) -> Frame {
    let sender = None;
    message("server", None, About { sender, ..about }, payload)
}

/// A message to a group, from a client or from a backend.
pub(super) fn group_message(group: &str, about: About<'_>, payload: &Payload) -> Frame {
    message("group", Some(group), about, payload)
}

fn message(from: &'static str, group: Option<&str>, about: About<'_>, payload: &Payload) -> Frame {
    frame(&ServerFrame::Message {
        from,
        group,
        from_user_id: about.sender,
        data_type: payload.data_type(),
        data: payload.data(),
        metadata: about.metadata,
    })
}

/// A frame of the subprotocol. Absent properties are left out: older clients take null for the text
/// "null", or throw an exception.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum ServerFrame<'a> {
    System(System<'a>),
    Ack {
        ack_id: u64,
        success: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorBody<'a>>,
    },
    Message {
        from: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from_user_id: Option<&'a str>,
        data_type: DataType,
        data: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a RawValue>,
    },
    Pong,
    InvokeResponse {
        invocation_id: &'a str,
        success: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_type: Option<DataType>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorBody<'a>>,
    },
    StreamClosed {
        stream_id: &'a str,
        error: ErrorBody<'a>,
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
struct ErrorBody<'a> {
    name: &'a str,
    message: &'a str,
}

pub(super) fn connected(connection_id: &str, user_id: Option<&str>) -> Frame {
    frame(&ServerFrame::System(System::Connected {
        user_id,
        connection_id,
    }))
}

/// What the clients of a node that drains are to do. At once, because they are told one after the other.
const COME_BACK: &str = "the node is restarting; connect again now";

/// Why a connection ends: the text of the close frame, if it has one.
pub(super) fn close_text(reason: &CloseReason) -> String {
    let frame = reason.frame().map(|frame| frame.reason);
    let text = frame.filter(|text| !text.is_empty());
    text.unwrap_or_else(|| reason.to_string())
}

/// What a client is sent last when the server closes: a message, and the close frame of the reason.
pub(super) fn disconnected(closing: &Closing<'_>) -> Option<Farewell> {
    let message = last_message(closing.reason())?;
    Some(Farewell::new(closing.close_frame().clone()).message(message))
}

/// `None` if a backend closes: then [`farewell`] has been sent.
fn last_message(reason: &CloseReason) -> Option<Frame> {
    if *reason == CloseReason::Drain {
        return Some(farewell(COME_BACK));
    }
    (!close::is_told(reason)).then(|| farewell(&close_text(reason)))
}

/// The last message of a connection.
pub(super) fn farewell(message: &str) -> Frame {
    frame(&ServerFrame::System(System::Disconnected { message }))
}

pub(super) fn ack(ack_id: u64) -> Frame {
    frame(&ServerFrame::Ack {
        ack_id,
        success: true,
        error: None,
    })
}

pub(super) fn failed_ack(ack_id: u64, name: &str, message: &str) -> Frame {
    frame(&ServerFrame::Ack {
        ack_id,
        success: false,
        error: Some(ErrorBody { name, message }),
    })
}

/// Of an operation that is not repeated.
pub(super) fn duplicate_ack(ack_id: u64) -> Frame {
    let message = "an operation with this ackId has already succeeded";
    failed_ack(ack_id, "Duplicate", message)
}

pub(super) fn pong() -> Frame {
    frame(&ServerFrame::Pong)
}

/// The answer of an invocation, which may be empty.
pub(super) fn invoke_response(invocation_id: &str, payload: Option<&Payload>) -> Frame {
    frame(&ServerFrame::InvokeResponse {
        invocation_id,
        success: true,
        data_type: payload.map(Payload::data_type),
        data: payload.map(Payload::data),
        error: None,
    })
}

pub(super) fn invoke_failed(invocation_id: &str, name: &str, message: &str) -> Frame {
    frame(&ServerFrame::InvokeResponse {
        invocation_id,
        success: false,
        data_type: None,
        data: None,
        error: Some(ErrorBody { name, message }),
    })
}

pub(super) fn stream_unsupported(stream_id: &str) -> Frame {
    let error = ErrorBody {
        name: "BadRequest",
        message: "group streams are not supported",
    };
    frame(&ServerFrame::StreamClosed { stream_id, error })
}

fn frame(outgoing: &ServerFrame<'_>) -> Frame {
    let json = serde_json::to_string(outgoing);
    Frame::text(json.expect("strings, numbers and valid JSON always serialize"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Frame) -> String {
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn frames_match_the_wire() {
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
                invoke_response("7", Some(&Payload::text("x"))),
                r#"{"type":"invokeResponse","invocationId":"7","success":true,"dataType":"text","data":"x"}"#,
            ),
            (
                invoke_response("7", None),
                r#"{"type":"invokeResponse","invocationId":"7","success":true}"#,
            ),
            (
                invoke_failed("7", "Oops", "no"),
                r#"{"type":"invokeResponse","invocationId":"7","success":false,"error":{"name":"Oops","message":"no"}}"#,
            ),
            (
                server_message(About::default(), &Payload::binary(&[1, 2, 3])),
                r#"{"type":"message","from":"server","dataType":"binary","data":"AQID"}"#,
            ),
            (
                group_message(
                    "g1",
                    About {
                        sender: Some("alice"),
                        ..About::default()
                    },
                    &Payload::text("echo"),
                ),
                r#"{"type":"message","from":"group","group":"g1","fromUserId":"alice","dataType":"text","data":"echo"}"#,
            ),
            (
                last_message(&CloseReason::Drain).unwrap(),
                r#"{"type":"system","event":"disconnected","message":"the node is restarting; connect again now"}"#,
            ),
        ];
        for (frame, expected) in cases {
            assert_eq!(text(&frame), expected);
        }
    }
}
