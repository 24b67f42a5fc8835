//! The public face of the crate, against models and against other implementations.

#![allow(clippy::unwrap_used)]

mod arbitrary;
mod client;
mod oracles;
mod round_trip;
mod server;
mod tokio_websockets_client;
mod tungstenite_client;
