//! The chat of `tieline demo`.

pub(crate) mod chat;
mod nodes;
pub(crate) mod page;
mod roster;

pub(crate) use self::{chat::Chat, nodes::Nodes};
