//! The chat of `tieline demo`: its event handler, its page, and the tokens of its pages.
//!
//! Owns what the events of the page mean, the list of who is online, and the page itself. Must not know
//! how clients connect, nor how the nodes are started. Users may be on any node of the cluster.

pub(crate) mod chat;
pub(crate) mod negotiate;
pub(crate) mod nodes;
pub(crate) mod page;
mod roster;
