//! A connection as a stream of messages and a sink of frames.
//!
//! Owns the [`Socket`], the messages that wait for it, and the task of its application. It is built on the
//! handler: for the connection's task a socket is one more application. Must not know the protocol or other
//! connections. Invariants: while the application takes nothing, little is kept and the client is not read
//! from; the socket that is dropped closes its connection.

mod api;
mod inbox;
mod task;

pub use self::api::Socket;
pub(crate) use self::task::{SocketHandler, SocketState};
