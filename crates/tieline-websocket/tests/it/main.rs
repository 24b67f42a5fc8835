//! The public API of the crate, against models and other implementations.

#![allow(clippy::unwrap_used)]

mod arbitrary;
mod client;
mod oracles;
mod round_trip;
mod server;
mod streaming;
mod tokio_websockets_client;
mod tungstenite_client;
