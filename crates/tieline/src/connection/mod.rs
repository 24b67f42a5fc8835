//! The life of a connection, from the upgrade to `on_disconnect`.
//!
//! Owns the task: reading, decoding, calling the handler, the close handshake. Must not know how
//! other connections are reached; for that it has the hub. Invariants: no buffer is held while it
//! waits for the client; `on_connect` completes first, `on_disconnect` runs last and once; a close
//! ends within its deadline.

mod callback;
mod detach;
mod io;
mod read_buffer;
mod stream;
mod task;

pub(crate) use self::{detach::detach, task::ConnectionTask};
