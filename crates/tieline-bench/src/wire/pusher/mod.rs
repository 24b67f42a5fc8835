//! The protocol of Pusher Channels, from the side of clients and backends.
//!
//! Owns the channels of each scenario, the opening ([`Greeting`]), the shape of what is received
//! ([`check_copy`]) and signatures ([`AppSecret`]). Must not know sockets.

mod check;
mod greeting;
mod request;
mod secret;

pub(crate) use self::{
    check::{check_channel, check_copy, check_message},
    greeting::Greeting,
    request::{SignedRequest, signed_target},
    secret::AppSecret,
};
use crate::plan::Scenario;

/// The template of the message that a scenario sends: an event of a client, or of a backend.
pub(super) fn send_template(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Rest => r#"{"name":"load","channel":"{id}","data":"{payload}"}"#,
        Scenario::Rooms => {
            r#"{"event":"client-load","channel":"presence-{room}","data":"{payload}"}"#
        }
        Scenario::Direct => {
            r#"{"event":"client-load","channel":"private-{to}","data":"{payload}"}"#
        }
        _ => r#"{"event":"client-load","channel":"private-all","data":"{payload}"}"#,
    }
}

/// The templates of the channels that each connection subscribes to. Whoever sends to a channel has to be
/// subscribed to it, so the connections of a pair are subscribed to both of their channels.
pub(super) fn channels(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::Rooms => &["presence-{room}"],
        Scenario::Broadcast => &["private-all"],
        Scenario::Direct => &["private-{id}", "private-{to}"],
        Scenario::Rest => &["{id}"],
        _ => &[],
    }
}
