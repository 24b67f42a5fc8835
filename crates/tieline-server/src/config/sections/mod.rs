//! The options, a module for each table of the file.
//!
//! Owns each option's type, default, texts and names, and what the settings of a table mean to the
//! library. Must not know how values are read.

pub(crate) mod admin;
pub(crate) mod aws;
pub(crate) mod cluster;
pub(crate) mod event_handlers;
pub(crate) mod general;
pub(crate) mod hub;
pub(crate) mod issuers;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod proxies;
pub(crate) mod pusher;
pub(crate) mod pusher_webhooks;
pub(crate) mod times;
pub(crate) mod tls;
pub(crate) mod traces;
