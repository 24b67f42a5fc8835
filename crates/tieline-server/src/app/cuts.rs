//! Who was cut off, or kept from something, by a limit or for breaking a rule.
//!
//! Owns which ends of connections count as that, for metrics and for operators. Must not know the limits.

use tieline::{CloseFrame, CloseReason, Connection, ProtocolError};

use super::{
    connection_log,
    hubs::HubHandle,
    limits::counts::{Action, Limited, Scope},
    refusals::What,
};

/// A connection has ended.
pub(crate) fn closed(hub: &HubHandle, connection: &Connection, reason: &CloseReason) {
    note_cut(hub, connection, reason);
    count_close(hub, connection, reason);
}

/// A client is closed for a message that its protocol does not allow: as for one of the WebSocket protocol.
pub(crate) fn close(
    hub: &HubHandle,
    connection: &Connection,
    wire: &'static str,
    close: CloseFrame,
) {
    connection_log::malformed(connection, wire, &close);
    add(hub, connection, &close.reason);
    connection.close(close);
}

/// Counts a close for a limit of the library. What is sent too fast was counted when it came.
fn count_close(hub: &HubHandle, connection: &Connection, reason: &CloseReason) {
    let limited = match reason {
        CloseReason::SlowConsumer => Limited::Outbox,
        CloseReason::Protocol(
            ProtocolError::MessageTooBig { .. } | ProtocolError::TooManyFragments { .. },
        ) => Limited::MessageSize,
        _ => return,
    };
    count(hub, connection, limited, Action::Closed);
}

/// Keeps, for operators, who was cut off for what it did or did not do.
fn note_cut(hub: &HubHandle, connection: &Connection, reason: &CloseReason) {
    if matches!(
        reason,
        CloseReason::SlowConsumer
            | CloseReason::Silent
            | CloseReason::Unfinished
            | CloseReason::TooFast
            | CloseReason::Protocol(_)
            | CloseReason::Panic
    ) {
        add(hub, connection, &reason.to_string());
    }
}

fn add(hub: &HubHandle, connection: &Connection, reason: &str) {
    let address = connection.remote_addr().map(|address| address.ip());
    let (hub_name, refusals) = (hub.name().as_str(), hub.refusals());
    refusals.add(What::ConnectionCut, reason, hub_name, address);
}

pub(crate) fn count(hub: &HubHandle, connection: &Connection, limited: Limited, action: Action) {
    let who = format_args!("hub {}, client {}", hub.name(), connection.id()).to_string();
    hub.quotas()
        .counts
        .count(Scope::Client, limited, action, &who);
}
