//! What operators ask of nodes: how each is doing, which connections and groups it has, what it has refused,
//! what happens to a client, and that it drains.
//!
//! Owns the requests, how they travel, and the answers. Must not know URLs, nor how a drain goes on: the node's
//! [`NodeControl`] does. Invariants: a node says what it has when it is asked, and nothing is copied between nodes in
//! between; every request has a deadline of 2 s, and a node that is late, older or gone is missed and named; an answer
//! has bounded size, whatever clients have thought up.

mod asking;
mod census;
pub(crate) mod connections;
mod following;
pub(crate) mod groups;
mod inspector;
pub(crate) mod reports;

pub(crate) use self::{
    asking::{Answers, Question, ask_all, ask_client, ask_node, is_inspection},
    following::Following,
    inspector::{Inspector, NodeControl},
};
