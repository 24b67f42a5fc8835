//! Links and ports of one process, over real sockets.

mod compat;
mod epoch_guard;
mod interest;
mod kit;
mod lifecycle;
mod load;
mod outcomes;
#[path = "../../../tests/it/kit/proxy.rs"]
mod proxy;
mod raw;
mod security;
mod unary_client;
