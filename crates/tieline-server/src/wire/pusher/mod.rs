//! The protocol of Pusher Channels.
//!
//! Owns apps and what their keys sign, the clients of an app, and the HTTP API for their backends. A channel is a
//! group of the app's hub, and the `socket_id` is the id of the connection. Must not know other wires: in a hub that
//! an app shares with one, they meet in the notes that go through the groups. Invariants: the secret of an app is in
//! no text; a client gets `data` as a string, in all frames but those about errors, and never null.

pub(crate) mod app;
mod cache;
mod channel;
mod client;
mod counting;
mod counting_node;
pub(crate) mod dialect;
mod event;
mod farewell;
mod handler;
mod http;
mod incoming;
pub(crate) mod label;
pub(crate) mod member_limits;
mod occupant;
mod outgoing;
mod owed_counts;
mod patience;
mod presence;
mod recounting;
mod refused;
pub(crate) mod service;
mod sign_in;
mod signed;
mod subscribe;
mod upgrade;
pub(crate) mod webhooks;

use std::sync::Arc;

use axum::Router;
use tieline::{Handler, Node};

use self::{handler::PusherHandler, service::Pusher};
use crate::app::follow::Follows;

/// The routes of the wire at a node, whose clients can be followed.
pub(crate) fn routes<H: Handler>(node: &Node<H>, pusher: Pusher, follows: &Follows) -> Router {
    let pusher = Arc::new(pusher);
    pusher.read_notices();
    recounting::start(&pusher);
    let http = http::routes(Arc::clone(&pusher));
    let handler = PusherHandler::new(follows.clone());
    upgrade::routes(node.clone(), pusher, handler).merge(http)
}
