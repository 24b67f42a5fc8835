//! Who was cut off, or kept from something, by a limit or for breaking a rule.
//!
//! Owns which ends of connections count as that, for metrics and for operators. Must not know the limits.

use tieline::{CloseReason, Connection, ProtocolError};

use super::{
    hubs::HubHandle,
    limits::counts::{Action, Limited, Scope},
    refusals::What,
};

/// A connection has ended.
pub(crate) fn closed(hub: &HubHandle, connection: &Connection, reason: &CloseReason) {
    count_close(hub, connection, reason);
    note_cut(hub, connection, reason);
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
        let address = connection.remote_addr().map(|address| address.ip());
        let (reason, hub_name) = (reason.to_string(), hub.name().as_str());
        let refusals = hub.refusals();
        refusals.add(What::ConnectionCut, &reason, hub_name, address);
    }
}

pub(crate) fn count(hub: &HubHandle, connection: &Connection, limited: Limited, action: Action) {
    let who = format_args!("hub {}, client {}", hub.name(), connection.id()).to_string();
    hub.quotas()
        .counts
        .count(Scope::Client, limited, action, &who);
}
