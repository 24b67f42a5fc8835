//! Event handlers: the events of clients as `CloudEvents` to the application's servers, and their answers.
//!
//! Owns what the requests and answers say, and which server gets which event. Must not know frames, nor how
//! a request reaches a server and when it is repeated (`webhook`). Invariants: a request names its
//! connection and its place among the connection's events; no token of a client and no error body of a
//! server is passed on.

mod cloud_event;
mod connect;
mod events;
mod handler;
mod memory;
mod pattern;
mod reply;
pub(crate) mod settings;
mod signature;

pub(crate) use self::{
    events::{LiveHandlers, Upstream},
    pattern::Patterns,
};
