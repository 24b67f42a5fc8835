//! The outbound side without sockets.

mod queue;
