//! Whether events have the shape that the protocol says: name, channel, sender, and the data as it was sent.

use serde::Deserialize;

use crate::{template::Template, wire::sent::Sent};

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "event")]
    name: String,
    channel: Option<String>,
    data: Option<String>,
    user_id: Option<String>,
}

/// Checks a copy of what the connection with the number `from` has sent.
pub(crate) fn check_copy(sent: &Sent, message: &[u8], from: usize) -> Result<(), String> {
    let copy: Event =
        serde_json::from_slice(message).map_err(|e| format!("a message is malformed: {e}"))?;
    sent.check_data(copy.data.as_deref().unwrap_or_default())?;
    let channel = copy.channel.as_deref().unwrap_or_default();
    let user = channel
        .starts_with("presence-")
        .then(|| format!("client-{from}"));
    let is_copy = |send: &Template| {
        let text = send.text(from);
        let event: Result<Event, _> = serde_json::from_str(&text);
        event.is_ok_and(|event| event.name == copy.name && event.channel == copy.channel)
    };
    if copy.user_id == user && sent.templates.iter().any(is_copy) {
        return Ok(());
    }
    let (event, user) = (copy.name, copy.user_id);
    Err(format!(
        "a message has another envelope than it should: event {event:?}, channel {channel:?}, user_id {user:?}"
    ))
}

/// Checks that a template is an event of a client, or if `published`, one of a backend or a batch of them.
pub(crate) fn check_message(template: &str, published: bool) -> Result<(), String> {
    let text = Template::parse(template, 1).text(0);
    let why = |e: serde_json::Error| e.to_string();
    if published {
        return serde_json::from_str(&text)
            .map(|_: serde_json::Value| ())
            .map_err(why);
    }
    serde_json::from_str(&text).map(|_: Event| ()).map_err(why)
}

/// Checks that a template is the name of a channel.
pub(crate) fn check_channel(template: &str) -> Result<(), String> {
    let name = Template::parse(template, 1).text(0);
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"_-=@,.;#".contains(c);
    if name.is_empty() || name.contains(odd) {
        return Err(
            "--on-open names a channel to subscribe to, such as presence-{room}".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Scenario, Wire};

    const PAYLOAD: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxyyyy";

    fn check(channel: &str, data: &str, user: &str) -> Result<(), String> {
        let template = |scenario| Template::parse(&Wire::Pusher.send_template(scenario, false), 10);
        let sent = Sent {
            templates: [Scenario::Rooms, Scenario::Broadcast].map(template).into(),
            payload: PAYLOAD.to_owned(),
        };
        let copy =
            format!(r#"{{"event":"client-load","channel":"{channel}","data":"{data}"{user}}}"#);
        check_copy(&sent, copy.as_bytes(), 12)
    }

    #[test]
    fn copies_of_what_was_sent_are_accepted_and_others_refused() {
        let user = r#","user_id":"client-12""#;
        assert_eq!(check("presence-room-1", PAYLOAD, user), Ok(()));
        assert_eq!(check("private-all", PAYLOAD, ""), Ok(()));
        let refused = |channel, data, user| check(channel, data, user).unwrap_err();
        assert!(refused("presence-room-1", PAYLOAD, "").contains("user_id None"));
        assert!(refused("private-all", PAYLOAD, user).contains("client-12"));
        assert!(refused("presence-room-2", PAYLOAD, user).contains("room-2"));
        assert!(refused("private-all", &PAYLOAD[1..], "").contains("other data"));
    }

    #[test]
    fn templates_are_events_and_channels() {
        for scenario in [Scenario::Rooms, Scenario::Direct, Scenario::Broadcast] {
            let template = Wire::Pusher.send_template(scenario, false);
            assert_eq!(check_message(&template, false), Ok(()));
            for channel in Wire::Pusher.on_open_templates(scenario) {
                assert_eq!(check_channel(&channel), Ok(()));
            }
        }
        assert_eq!(
            check_message(&Wire::Pusher.send_template(Scenario::Rest, false), true),
            Ok(())
        );
        assert!(check_message("G:{room}:{payload}", false).is_err());
        assert!(check_channel("J:{room}").unwrap_err().contains("--on-open"));
    }
}
