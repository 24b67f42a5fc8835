//! From an HTTP request to a connection.
//!
//! Owns the checks of an upgrade (RFC 6455, section 4.2; origin; names; capacity; duplicate ids), its
//! answer, and the hand-over of the raw socket. Must not know routes: who may connect, and as whom,
//! the application decides. Invariant: a refused upgrade leaves nothing behind.

mod accept;
mod decision;
mod origin;
mod register;
mod request;

pub use self::{
    accept::Upgrade,
    decision::{Accept, Refusal},
    request::UpgradeRequest,
};
