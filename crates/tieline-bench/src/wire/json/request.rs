//! What a client sends, as far as the load has to understand its own messages.

use serde::Deserialize;

use crate::template::Template;

/// A request of a client, as far as the load has to know what it has sent.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) group: Option<String>,
    pub(super) ack_id: Option<u64>,
    pub(super) data_type: Option<String>,
}

/// Checks that a template is a frame of this format.
pub(crate) fn check_template(template: &str) -> Result<(), String> {
    let text = Template::parse(template, 1).text(0);
    parse(&text).map(drop)
}

/// Parses a frame.
pub(super) fn parse(text: &str) -> Result<Request, String> {
    serde_json::from_str(text).map_err(|e| format!("not a JSON frame with a type: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Scenario, Wire};

    #[test]
    fn templates_are_frames() {
        for template in Wire::Json.on_open_templates(Scenario::Mixed) {
            check_template(&template).unwrap();
        }
        let send = Wire::Json.send_template(Scenario::Rooms, true);
        let text = Template::parse(&send, 10).text(25);
        let request = parse(&text).unwrap();
        assert_eq!(request.group.as_deref(), Some("room-2"));
        assert_eq!(request.data_type.as_deref(), Some("binary"));
        assert!(check_template("J:{room}").unwrap_err().contains("JSON"));
        assert!(
            check_template(r#"{"group":"a"}"#)
                .unwrap_err()
                .contains("type")
        );
    }
}
