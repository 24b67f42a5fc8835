//! What holds in a hub whose groups are also channels of an app of Pusher Channels, for clients and backends of other
//! wires.
//!
//! Owns which groups they join and send to, and which names their events may have, so that clients of the app can rely
//! on what these names mean there. Must not know apps. A hub without an app has no such rules.

use super::{
    about::Metadata, client_data::SharedClientData, events::OperationError, hubs::HubHandle,
    memberships::PRESENCE, role::Permission,
};

/// The name of the metadata that is the name of an event.
pub(crate) const EVENT: &str = "event";

/// Longest name of an event, in characters.
pub(crate) const MAX_EVENT_NAME: usize = 200;

/// Begin the names of events that only the server or clients of the app send.
const OF_THE_PROTOCOL: [&str; 3] = ["pusher:", "pusher_internal:", "client-"];

/// What somebody may not do because the hub is shared with an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reserved {
    #[error(
        "the hub is shared with an app of Pusher Channels, where the metadata event must not begin with pusher:, \
         pusher_internal: or client-"
    )]
    Event,
    #[error(
        "the hub is shared with an app of Pusher Channels, where the metadata event has 1 to {MAX_EVENT_NAME} characters"
    )]
    EventLength,
    #[error(
        "the hub is shared with an app of Pusher Channels, where other clients neither join groups whose names begin \
         with # or private-encrypted-, nor send to them"
    )]
    Group,
    #[error(
        "the hub is shared with an app of Pusher Channels, where a role or a grant must name this very group: \
         webpubsub.{}.GROUP",
        .0.name()
    )]
    Unnamed(Permission),
}

/// Whether a message may have this metadata.
pub(crate) fn check_event(hub: &HubHandle, metadata: Option<&Metadata>) -> Result<(), Reserved> {
    let Some(metadata) = metadata.filter(|_| hub.has_channels()) else {
        return Ok(());
    };
    match metadata.get(EVENT) {
        Some(name) if OF_THE_PROTOCOL.iter().any(|begin| name.starts_with(begin)) => {
            Err(Reserved::Event)
        }
        Some(name) if name.is_empty() || name.chars().count() > MAX_EVENT_NAME => {
            Err(Reserved::EventLength)
        }
        _ => Ok(()),
    }
}

/// Whether a backend may add connections to a group: it has named it.
pub(crate) fn check_group(hub: &HubHandle, group: &str) -> Result<(), Reserved> {
    if is_of_the_app(group) && hub.has_channels() {
        return Err(Reserved::Group);
    }
    Ok(())
}

/// Whether a client that is permitted to do this to a group may do it to this one, whose name clients of the app trust.
pub(crate) fn check_client(
    hub: &HubHandle,
    client: &SharedClientData,
    permission: Permission,
    group: &str,
) -> Result<(), Reserved> {
    check_group(hub, group)?;
    let is_guarded = group.starts_with("private-") || group.starts_with(PRESENCE);
    if is_guarded && hub.has_channels() && !client.lock().names(permission, group) {
        return Err(Reserved::Unnamed(permission));
    }
    Ok(())
}

impl From<Reserved> for OperationError {
    fn from(reserved: Reserved) -> Self {
        let name = match reserved {
            Reserved::Event | Reserved::EventLength => "BadRequest",
            Reserved::Group | Reserved::Unnamed(_) => "Forbidden",
        };
        let message = reserved.to_string();
        Self { name, message }
    }
}

fn is_of_the_app(group: &str) -> bool {
    group.starts_with('#') || group.starts_with("private-encrypted-")
}
