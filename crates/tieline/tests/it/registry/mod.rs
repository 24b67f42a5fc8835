//! The conformance suite on every registry: a module for each, a test for each scenario.

#[cfg(feature = "etcd")]
mod etcd;
mod memory;
#[cfg(feature = "redis")]
mod redis;
