//! From an HTTP request to a connection.
//!
//! Owns the checks of an upgrade (RFC 6455, section 4.2; origin; names; capacity; duplicate ids), its
//! response, and the hand-over of the raw socket. Must not know routes: the application decides who may
//! connect, and as whom. Invariant: a refused upgrade leaves nothing behind.

mod accept;
mod decision;
mod origin;
mod refusal;
mod register;
mod request;

pub use self::{accept::Upgrade, decision::Accept, refusal::Refusal, request::UpgradeRequest};
