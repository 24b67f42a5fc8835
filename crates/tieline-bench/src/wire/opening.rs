//! How a connection opens after the upgrade, in the wires that say something then.

use super::{json, pusher, step::Step};

/// The opening of one connection.
#[derive(Debug)]
pub(crate) enum Opening {
    Json(json::Greeting),
    Pusher(pusher::Greeting),
}

impl Opening {
    /// The subprotocol that the server has to choose.
    pub(crate) fn subprotocol(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => Some(json::SUBPROTOCOL),
            Self::Pusher(_) => None,
        }
    }

    /// Whether the connection is open.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Json(greeting) => greeting.is_complete(),
            Self::Pusher(greeting) => greeting.is_complete(),
        }
    }

    /// Handles a message of the server; an error is why the connection cannot open.
    pub(crate) fn on_message(&mut self, message: &[u8]) -> Result<Step, String> {
        match self {
            Self::Json(greeting) => greeting.on_message(message),
            Self::Pusher(greeting) => greeting.on_message(message),
        }
    }
}
