//! Redis and etcd servers for tests. Each is a process for one test, on free ports and in a
//! temporary folder, and is killed when its value is dropped. And what else the tests of several
//! crates need: a [`Stopwatch`] for what is promised to take no longer than some time, free ports,
//! and the log of a test.
//!
//! Owns the processes that it starts, and ends only those. Must not know what is stored in them.
//! Depends on no crate of this workspace, so that the tests of all crates can use it. A server that
//! cannot be started is a panic: a test without its server must fail, not be skipped.
//!
//! ```no_run
//! # async fn test() {
//! let redis = tieline_test_servers::redis::Redis::start().await;
//! let url = redis.url();
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "in test code, a panic names the place and fails the test"
)]

mod authority;
pub mod etcd;
mod ports;
pub mod process;
pub mod redis;
mod stopwatch;
mod trace;

pub use self::{authority::Authority, ports::free_port, stopwatch::Stopwatch, trace::Trace};
