//! What every wire shares.

pub(crate) mod user;
