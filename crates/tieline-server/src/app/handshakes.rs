//! Handshakes that have failed at the listeners of a node.
//!
//! Owns what operators are told of them, beside their counts. Must not know why a handshake fails. Invariant: whoever
//! opens connections and sends nothing, as health checks do, does not hide those that are refused.

use std::sync::Arc;

use tieline::{FailedHandshake, HandshakeFailure, HandshakeFailures, Listener};

use super::{connection_log, hubs::Hubs, refusals::What};

/// What a listener counts.
#[derive(Debug, Clone)]
pub(crate) struct ListenerFailures {
    /// Where clients connect: an address, or `unix:` and a path.
    pub(crate) listener: Arc<str>,
    pub(crate) failures: HandshakeFailures,
}

/// A listener whose failures are told to the operators of a node, and their counts.
pub(crate) fn watched(
    listener: Listener,
    place: &str,
    hubs: &Hubs,
) -> (Listener, ListenerFailures) {
    let counted = ListenerFailures {
        listener: place.into(),
        failures: listener.handshake_failures(),
    };
    let (place, hubs) = (Arc::clone(&counted.listener), hubs.clone());
    let listener = listener.on_handshake_failure(move |failed| note(&place, &hubs, failed));
    (listener, counted)
}

fn note(place: &str, hubs: &Hubs, failed: &FailedHandshake) {
    connection_log::handshake_failed(place, failed);
    if failed.failure != HandshakeFailure::Left {
        let reason = format!("{}: {}", failed.failure.name(), failed.error);
        let address = failed.remote_addr.map(|address| address.ip());
        hubs.refusals()
            .add(What::HandshakeFailed, &reason, "", address);
    }
}
