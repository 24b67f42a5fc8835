//! Dialects: one message, each client in its own form.

#[cfg(feature = "cluster")]
mod nodes;
mod notes;
