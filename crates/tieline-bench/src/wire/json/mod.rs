//! `json.webpubsub.azure.v1`, from the client's side.
//!
//! Owns the frames that a client sends, its opening ([`Greeting`]) and the shape of what it receives
//! ([`check_copy`]). Must not know sockets.

mod check;
mod greeting;
mod request;

pub(crate) use self::{check::check_copy, greeting::Greeting, request::check_template};
use crate::plan::Scenario;

/// The name of the subprotocol.
pub(crate) const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";
/// The group of all connections.
const ALL: &str = "all";

/// The template of the message that a scenario sends: to a group of all, of the room, or of one.
pub(super) fn send_template(scenario: Scenario, binary: bool) -> String {
    let group = match scenario {
        Scenario::Broadcast => ALL,
        Scenario::Rooms => "{room}",
        Scenario::Direct | Scenario::Mixed => "{to}",
        _ => "{id}",
    };
    let data_type = if binary { "binary" } else { "text" };
    format!(
        r#"{{"type":"sendToGroup","group":"{group}","dataType":"{data_type}","data":"{{payload}}"}}"#
    )
}

/// The templates of the messages that join the groups of a scenario.
pub(super) fn on_open_templates(scenario: Scenario) -> Vec<String> {
    let groups: &[&str] = match scenario {
        Scenario::Broadcast => &[ALL],
        Scenario::Rooms => &["{room}"],
        Scenario::Echo | Scenario::Direct => &["{id}"],
        Scenario::Mixed => &["{id}", ALL],
        Scenario::Idle | Scenario::Storm | Scenario::Churn | Scenario::Rest => &[],
    };
    let join = |(ack, group): (u64, &&str)| {
        format!(r#"{{"type":"joinGroup","group":"{group}","ackId":{ack}}}"#)
    };
    (1..).zip(groups).map(join).collect()
}

/// Base64 of `size` bytes. It is what an encoder makes of them, so that it comes back as it was sent: the bits
/// that belong to no byte are zero.
pub(super) fn base64_payload(size: usize) -> String {
    let (digits, padding) = match size % 3 {
        0 => (size / 3 * 4, ""),
        1 => (size / 3 * 4 + 2, "=="),
        _ => (size / 3 * 4 + 3, "="),
    };
    // The last six bits of "w" are 110000.
    format!("{}w{padding}", "x".repeat(digits.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::stamp;

    #[test]
    fn a_payload_in_base64_comes_back_as_it_was_sent() {
        for size in stamp::LENGTH..stamp::LENGTH + 6 {
            let text = base64_payload(size);
            let bytes = STANDARD.decode(&text).unwrap();
            assert_eq!(bytes.len(), size);
            assert_eq!(STANDARD.encode(bytes), text);
            assert!(text.trim_end_matches('=').len() > stamp::LENGTH);
        }
    }
}
