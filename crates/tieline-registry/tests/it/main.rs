//! Every registry on its real store: the conformance suite, and tests of each registry's own features.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation fails the test, with its position"
)]

#[cfg(feature = "etcd")]
mod etcd;
mod kit;
mod memory;
#[cfg(feature = "redis")]
mod redis;
