//! Links and ports of one process, over real sockets.

mod fence;
mod foreign;
mod interest;
mod kit;
mod life;
mod load;
mod outcomes;
#[path = "../../../tests/it/kit/proxy.rs"]
mod proxy;
mod raw;
mod security;
mod unary;
