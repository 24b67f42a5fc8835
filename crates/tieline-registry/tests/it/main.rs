//! Every registry on its real store: the conformance suite, and what each adds to it.

#![allow(
    clippy::unwrap_used,
    reason = "what a test takes for granted fails it, with its place"
)]

#[cfg(feature = "etcd")]
mod etcd;
mod kit;
mod memory;
#[cfg(feature = "redis")]
mod redis;
