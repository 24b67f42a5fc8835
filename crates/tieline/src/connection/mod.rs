//! The lifecycle of a connection, from the upgrade to `on_disconnect`.
//!
//! Owns the task: reading, decoding, calling the handler, the close handshake. Must not know how other
//! connections are reached; that is the hub's. Invariants: no buffer is held while the task waits for the
//! client; `on_connect` completes first, `on_disconnect` runs last and once; a close ends within its
//! deadline.

mod callback;
mod chunks;
mod farewell;
mod foreign;
mod io;
mod meter;
mod own_limits;
mod read_buffer;
mod restraint;
mod stream;
mod takeover;
mod task;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use self::{
    farewell::say_farewell,
    own_limits::ClientLimits,
    takeover::take_socket,
    task::{ConnectionTask, NewClient},
};
