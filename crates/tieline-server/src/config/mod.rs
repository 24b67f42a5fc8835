//! What the settings of the program are made of.
//!
//! Must not know what is configured with them. Invariant: no text shows a secret.

pub(crate) mod secret;
