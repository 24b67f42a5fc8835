//! The inbound side of links.

mod compat;
mod epoch_guard;
mod receiver;
mod response;
mod service;
mod stream;

pub(crate) use self::receiver::{BoxFuture, MaybeReady, PeerInfo, Receiver, Response};
pub(super) use self::{compat::CompatService, epoch_guard::StreamEpochs, service::LinkService};
