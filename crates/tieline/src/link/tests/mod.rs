//! Links and peer servers in one process, over real sockets.

mod compat;
mod epoch_guard;
mod greeting;
mod interest;
mod lifecycle;
mod load;
mod namespaces;
mod outcomes;
#[path = "../../../tests/it/kit/proxy.rs"]
mod proxy;
mod scripted;
mod security;
mod support;
mod unary_client;
