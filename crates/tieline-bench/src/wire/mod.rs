//! The message formats: what connections send by default, and what makes a connection open.
//!
//! Owns the default templates of each scenario in each format. Must not know sockets. Invariant: a stamp is
//! found in the same way in every format, so that reading costs the same.

mod bare;
mod check;
pub(crate) mod json;
mod opening;
pub(crate) mod pusher;
mod sent;
mod step;

pub(crate) use self::{check::MessageCheck, opening::Opening, step::Step};
use crate::plan::{Scenario, Wire};

impl Wire {
    /// The template of the message that a scenario sends.
    pub(crate) fn send_template(self, scenario: Scenario, binary: bool) -> String {
        match self {
            Self::Bare => bare::send_template(scenario).to_owned(),
            Self::Json => json::send_template(scenario, binary),
            Self::Pusher => pusher::send_template(scenario).to_owned(),
        }
    }

    /// The template of the broadcasts beside other messages.
    pub(crate) fn broadcast_template(self, binary: bool) -> String {
        match self {
            Self::Bare => bare::BROADCAST.to_owned(),
            Self::Json => json::send_template(Scenario::Broadcast, binary),
            Self::Pusher => pusher::send_template(Scenario::Broadcast).to_owned(),
        }
    }

    /// The templates of the messages that each connection sends once when it opens; in the Pusher wire, of the
    /// channels that it subscribes to.
    pub(crate) fn on_open_templates(self, scenario: Scenario) -> Vec<String> {
        match self {
            Self::Bare => {
                let templates = bare::on_open_templates(scenario).iter();
                templates.map(ToString::to_string).collect()
            }
            Self::Json => json::on_open_templates(scenario),
            Self::Pusher => {
                let channels = pusher::channels(scenario).iter();
                channels.map(ToString::to_string).collect()
            }
        }
    }

    /// Path and query of the URL for a scenario.
    pub(crate) fn url_path(self, scenario: Scenario) -> &'static str {
        match self {
            Self::Pusher if scenario == Scenario::Rest => "/apps/1/events?auth_key=app-key",
            _ if scenario == Scenario::Rest => "/api/hubs/chat/users/{id}/:send",
            Self::Bare => bare::url_path(scenario),
            Self::Json => "/client/hubs/chat?user={id}",
            Self::Pusher => "/app/app-key?protocol=7&client=tieline-bench",
        }
    }

    /// The subprotocol that connections request.
    pub(crate) fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Bare | Self::Pusher => None,
            Self::Json => Some(json::SUBPROTOCOL),
        }
    }

    /// What `{payload}` stands for: `size` bytes, in Base64 where the format has binary data as text. The stamp
    /// replaces the beginning.
    pub(crate) fn payload(self, size: usize, binary: bool) -> String {
        match self {
            Self::Json if binary => json::base64_payload(size),
            _ => "x".repeat(size),
        }
    }

    /// Whether a client gets its own message to a group of which it is a member.
    pub(crate) fn has_own_copies(self) -> bool {
        self != Self::Pusher
    }

    /// Whether messages are sent in binary frames.
    pub(crate) fn has_binary_frames(self) -> bool {
        self == Self::Bare
    }
}
