//! The lines of the log about single connections.
//!
//! Owns their fields, their levels and their target, by which an operator turns them on alone. Must not know why a
//! connection is refused or ends. Invariants: no line has a payload, a token or a query; at `info`, a kind of
//! line is written once in ten seconds at most, however many clients there are.

use std::{fmt::Display, net::SocketAddr};

use tieline::{CloseCode, CloseFrame, CloseReason, Connection, FailedHandshake, HandshakeFailure};
use tracing::field::display;

use super::sampled::SampledBy;

/// What `log.level` calls these lines.
const TARGET: &str = "tieline::connections";

/// By status, which refusals have few of.
static REFUSED: SampledBy<u16> = SampledBy::new();

/// By reason.
static HANDSHAKES: SampledBy<&str> = SampledBy::new();

/// By fault.
static FAULTS: SampledBy<&str> = SampledBy::new();

/// A connection ended before the listener had a request. Of those that the client did not end itself, there is a sample
/// at `info`. `listener` is where it listens.
pub(crate) fn handshake_failed(listener: &str, failed: &FailedHandshake) {
    let (address, reason) = (failed.remote_addr.map(display), failed.failure.name());
    let error = &failed.error;
    tracing::debug!(target: TARGET, listener, address, reason, %error, "connection failed before a request");
    if failed.failure == HandshakeFailure::Left {
        return;
    }
    if let Some(left_out) = HANDSHAKES.due(reason) {
        tracing::info!(
            target: TARGET, listener, address, reason, %error, left_out, "handshakes are failing"
        );
    }
}

/// A client was let in.
pub(crate) fn accepted(connection: &Connection, wire: &'static str, subprotocol: &'static str) {
    tracing::debug!(
        target: TARGET,
        id = %connection.id(),
        hub = connection.namespace(),
        user = connection.user(),
        address = connection.remote_addr().map(display),
        wire,
        subprotocol,
        "connection accepted"
    );
}

/// The upgrade of a client was refused. `hub` is a valid name; `reason` is a word of the program.
pub(crate) fn refused(
    hub: Option<&str>,
    address: Option<SocketAddr>,
    wire: &'static str,
    (status, reason): (u16, &'static str),
) {
    let address = address.map(display);
    tracing::debug!(target: TARGET, hub, address, wire, status, reason, "connection refused");
    if let Some(left_out) = REFUSED.due(status) {
        tracing::info!(
            target: TARGET, hub, address, wire, status, reason, left_out, "refusing connections"
        );
    }
}

/// A connection has ended. Of those with a fault, which this node has closed for, there is a sample at `info`.
pub(crate) fn ended(connection: &Connection, wire: &'static str, reason: &CloseReason) {
    let (id, hub, user) = (connection.id(), connection.namespace(), connection.user());
    let address = connection.remote_addr().map(display);
    let code = reason.code();
    tracing::debug!(
        target: TARGET, %id, hub, user, address, wire, code, %reason, "connection ended"
    );
    if let Some(fault) = fault(reason) {
        sample(connection, wire, fault, (code, reason));
    }
}

/// A client is closed for a message that its protocol does not allow. A sample at `info`; its end is logged too.
pub(crate) fn malformed(connection: &Connection, wire: &'static str, close: &CloseFrame) {
    // What the client is told may repeat what it has sent.
    let reason = match close.code {
        CloseCode::POLICY_VIOLATION => "a message that it may not send",
        _ => "a message that cannot be read",
    };
    sample(
        connection,
        wire,
        "malformed",
        (close.code.as_u16(), &reason),
    );
}

/// A line about a client that is closed for a fault, unless there was one lately.
fn sample(
    connection: &Connection,
    wire: &'static str,
    fault: &'static str,
    (code, reason): (u16, &dyn Display),
) {
    let Some(left_out) = FAULTS.due(fault) else {
        return;
    };
    let (id, hub, user) = (connection.id(), connection.namespace(), connection.user());
    let address = connection.remote_addr().map(display);
    tracing::info!(
        target: TARGET, %id, hub, user, address, wire, code, %reason, left_out,
        "closing connections for a fault"
    );
}

/// What is wrong with a client that this node has closed, or with its handler.
fn fault(reason: &CloseReason) -> Option<&'static str> {
    Some(match reason {
        CloseReason::SlowConsumer => "slow_consumer",
        CloseReason::Unfinished => "unfinished",
        CloseReason::TooFast => "too_fast",
        CloseReason::Protocol(_) => "protocol",
        CloseReason::Panic => "panic",
        // Clients that come and go: also without a word, as phones do.
        _ => return None,
    })
}
