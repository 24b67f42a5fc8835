//! Webhooks: what happens to the channels of apps, as requests to the application's servers.
//!
//! Owns what the requests say, who gets which event, and in which order. Must not know frames, nor how a request
//! reaches a server and when it is repeated (`webhook`). What happens to rosters comes from the cluster's one
//! dispatcher of presence, so it is told once, by whichever node has that place; what happens at a node is told by that
//! node, and may overtake it. Invariants: the events of a channel that come from rosters are sent in order, and so are
//! those that one node has of its own; what comes from rosters is noted as done only when it
//! was sent or given up, so none is lost with a node; every queue has a bound.

mod dispatcher;
mod dispatching;
mod event;
mod holds;
mod live;
mod marks;
mod progress;
mod queue;
pub(crate) mod settings;
mod webhook;

pub(crate) use self::{
    dispatching::Posting,
    event::ClientEvent,
    live::{LiveWebhooks, Webhooks},
};
