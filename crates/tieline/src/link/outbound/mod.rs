//! The outbound side of links: one [`Link`] per peer.
//!
//! Owns the stream on which this node sends requests to one peer: the state of the dial ([`dial`]) and of the
//! link ([`state`]), its queue ([`queue`]) and liveness ([`liveness`]), the tasks that dial and keep time
//! ([`run`]), the stream itself ([`exchange`], [`stream`]), and the unary calls that replace it for a node of
//! go-websocket ([`unary_client`]). Must not know what requests mean.
//!
//! Three tasks use the state, each briefly under its lock: the sender of a request, HTTP/2 when the stream
//! can carry the next batch, and the link's own task, which reads the responses. Invariant: nothing is
//! completed under that lock, and no task of the link is woken; only the status, which tests watch, is
//! published under it ([`shared`]).

mod dial;
mod end;
mod exchange;
mod link;
mod liveness;
mod peer_view;
mod queue;
mod run;
mod shared;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod unary_backlog;
mod unary_client;

#[cfg(test)]
pub(crate) use self::dial::LinkStatus;
pub(crate) use self::link::Link;
