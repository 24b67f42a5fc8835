//! How a connection opens: the server says that it is connected, the client joins its groups, and the server
//! acknowledges each join.
//!
//! Knows the frames of the opening only. Invariant: the connection is open when all that was asked for has
//! succeeded, so that a message to a group reaches every connection that is open.

use std::mem;

use serde::Deserialize;

use super::request::parse;
use crate::wire::step::Step;

/// The opening of one connection.
#[derive(Debug)]
pub(crate) struct Greeting {
    connected: bool,
    /// The frames to send when the server has said that the client is connected.
    frames: Vec<u8>,
    /// The ids of the acknowledgements that have not come.
    acks: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(rename = "type")]
    kind: String,
    event: Option<String>,
    connection_id: Option<String>,
    message: Option<String>,
    ack_id: Option<u64>,
    success: Option<bool>,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    name: String,
    message: Option<String>,
}

impl Greeting {
    /// An opening that sends these messages, already encoded as `frames`.
    pub(crate) fn new(messages: &[String], frames: Vec<u8>) -> Self {
        let acks = messages.iter().filter_map(|text| parse(text).ok()?.ack_id);
        Self {
            connected: false,
            frames,
            acks: acks.collect(),
        }
    }

    /// Whether the connection is open.
    pub(crate) fn is_complete(&self) -> bool {
        self.connected && self.acks.is_empty()
    }

    /// Handles a message of the server; an error is why the connection cannot open.
    pub(crate) fn on_message(&mut self, message: &[u8]) -> Result<Step, String> {
        let answer: Answer = serde_json::from_slice(message)
            .map_err(|e| format!("a frame of the opening is malformed: {e}"))?;
        match (answer.kind.as_str(), answer.event.as_deref()) {
            ("system", Some("connected")) if !self.connected => {
                if answer.connection_id.is_none_or(|id| id.is_empty()) {
                    return Err("the server said connected without a connectionId".to_owned());
                }
                self.connected = true;
                Ok(Step::Send(mem::take(&mut self.frames)))
            }
            ("system", Some("disconnected")) => {
                let why = answer.message.unwrap_or_default();
                Err(format!("the server said disconnected: {why}"))
            }
            ("ack", _) if self.connected => self.on_ack(&answer),
            // A member that is open already may send to the group.
            ("message", _) if self.connected => Ok(Step::Wait),
            (kind, _) => Err(format!(
                "the opening has a frame of type {kind:?} out of order"
            )),
        }
    }

    fn on_ack(&mut self, answer: &Answer) -> Result<Step, String> {
        let waits = |id: u64| self.acks.iter().position(|ack| *ack == id);
        let Some(index) = answer.ack_id.and_then(waits) else {
            return Err("the server acknowledged what was not asked for".to_owned());
        };
        if answer.success != Some(true) {
            let error = answer.error.as_ref();
            let name = error.map_or("no error", |error| &error.name);
            let message = error.and_then(|error| error.message.as_deref());
            let message = message.unwrap_or("no explanation");
            return Err(format!("a request to open failed: {name}: {message}"));
        }
        self.acks.swap_remove(index);
        Ok(Step::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTED: &[u8] = br#"{"type":"system","event":"connected","connectionId":"c"}"#;

    fn greeting() -> Greeting {
        let join = |ack| format!(r#"{{"type":"joinGroup","group":"g","ackId":{ack}}}"#);
        Greeting::new(&[join(1), join(2)], b"frames".to_vec())
    }

    fn refused(messages: &[&str]) -> String {
        let mut greeting = greeting();
        let found = messages
            .iter()
            .find_map(|message| greeting.on_message(message.as_bytes()).err());
        found.expect("it is refused")
    }

    #[test]
    fn it_is_complete_with_the_last_acknowledgement() {
        let mut greeting = greeting();
        assert_eq!(
            greeting.on_message(CONNECTED),
            Ok(Step::Send(b"frames".to_vec()))
        );
        for message in [
            r#"{"type":"ack","ackId":2,"success":true}"#,
            r#"{"type":"message","from":"group","group":"g","dataType":"text","data":"early"}"#,
            r#"{"type":"ack","ackId":1,"success":true}"#,
        ] {
            assert!(!greeting.is_complete());
            assert_eq!(greeting.on_message(message.as_bytes()), Ok(Step::Wait));
        }
        assert!(greeting.is_complete());
    }

    #[test]
    fn without_requests_it_is_complete_when_connected() {
        let mut greeting = Greeting::new(&[], Vec::new());
        assert!(!greeting.is_complete());
        greeting.on_message(CONNECTED).unwrap();
        assert!(greeting.is_complete());
    }

    #[test]
    fn what_a_server_must_not_say_is_refused() {
        let connected = std::str::from_utf8(CONNECTED).unwrap();
        let ack = r#"{"type":"ack","ackId":1,"success":true}"#;
        assert!(refused(&["hello"]).contains("malformed"));
        assert!(refused(&[ack]).contains("out of order"));
        assert!(refused(&[connected, connected]).contains("out of order"));
        assert!(refused(&[r#"{"type":"system","event":"connected"}"#]).contains("connectionId"));
        assert!(refused(&[connected, ack, ack]).contains("not asked for"));
        let failed = r#"{"type":"ack","ackId":1,"success":false,"error":{"name":"Forbidden","message":"no role"}}"#;
        assert!(refused(&[connected, failed]).contains("Forbidden: no role"));
        let gone = r#"{"type":"system","event":"disconnected","message":"full"}"#;
        assert!(refused(&[gone]).contains("disconnected: full"));
    }
}
