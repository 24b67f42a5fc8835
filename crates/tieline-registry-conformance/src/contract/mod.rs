//! The plain contract of each operation, without the protocol around it.
//!
//! Each scenario calls the registry from one task, one call after the other. Where the contract
//! leaves a choice, a scenario accepts every permitted result and says so.

pub(crate) mod bulk;
pub(crate) mod claims;
mod fixture;
pub(crate) mod namespaces;
pub(crate) mod random;
mod reference;
pub(crate) mod sessions;
pub(crate) mod values;
