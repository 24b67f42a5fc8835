//! The protocols that clients and backends speak.
//!
//! A wire translates: bytes into operations, messages into frames, outcomes into replies. What the
//! operations do is in `app`, which every wire uses. Wires never import each other; what their backends' requests have in common is in `body`. Each that has clients adds
//! its dialects here, so that a hub has those of all wires.

use tieline::{Connection, Dialects};

use crate::app::{client_data::ClientKind, follow::FrameLabel};

pub(crate) mod aws;
mod body;
mod hex;
mod outcome;
pub(crate) mod pusher;
pub(crate) mod webpubsub;

/// The dialects of each wire with clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WireDialects {
    pub(crate) webpubsub: webpubsub::dialects::DialectIds,
    pub(crate) pusher: pusher::dialect::PusherDialect,
}

/// The dialects of all wires, for a hub, and their ids, which are the same for each call.
pub(crate) fn dialects() -> (Dialects, WireDialects) {
    let mut dialects = Dialects::new();
    let webpubsub = webpubsub::dialects::DialectIds::add_to(&mut dialects);
    let pusher = pusher::dialect::PusherDialect::add_to(&mut dialects);
    (dialects, WireDialects { webpubsub, pusher })
}

/// What the wire of a client calls a frame, by its first bytes.
pub(crate) fn label(client: &Connection, payload: &[u8]) -> FrameLabel {
    match ClientKind::of(client) {
        ClientKind::WebPubSub => webpubsub::label::label(client.subprotocol(), payload),
        ClientKind::Pusher => pusher::label::label(payload),
    }
}
