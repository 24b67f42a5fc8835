//! The inbound side of links: streams that peers open, and the unary service of go-websocket.
//!
//! Owns the contract with the [`Receiver`] of requests ([`receiver`]), the streams ([`stream`]), their
//! epochs ([`epoch_guard`]) and the gRPC services ([`service`], [`compat`]). Must not know what requests
//! mean. Invariants: the requests of one stream are received in order; nothing of a process's older stream
//! is received once a newer one has started.

mod compat;
mod epoch_guard;
mod receiver;
mod response;
mod responses;
mod service;
mod stream;

pub(crate) use self::receiver::{BoxFuture, MaybeReady, PeerInfo, Receiver, Response};
pub(super) use self::{compat::CompatService, epoch_guard::StreamEpochs, service::LinkService};
