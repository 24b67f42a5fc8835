//! Which proxies are believed, and what they say of their clients.
//!
//! Owns the headers by which proxies say it. Must not know places or what is served. Invariants: who is not listed is
//! not believed; what a listed proxy says is read from the right, so that what a client has written itself counts for
//! nothing.

mod config;
mod forwarded;
mod protocol;

pub use self::config::{ForwardedHeader, Proxies};
pub(super) use self::{
    forwarded::client,
    protocol::{Announced, receive},
};
