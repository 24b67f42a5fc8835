//! How nodes authenticate each other.
//!
//! Owns the check that a configuration is safe where it is used, the shared secret ([`trust`]) and
//! certificates ([`tls`]). Must not know links or calls. Invariant: neither the secret nor a key shows in
//! `Debug` output.

mod error;
mod tls;
mod trust;

pub(super) use self::trust::Trust;
pub use self::{error::SecurityError, tls::PeerTls, trust::PeerSecurity};
