//! Redis and etcd servers for tests: each a process started for one test, on free ports and in a
//! temporary folder, killed when it is dropped.
//!
//! Owns the processes that it starts and ends only those. Must not know what is stored in them, and
//! depends on no crate of this workspace, so that the tests of all of them can use it. It panics where
//! a server cannot be started: a test without its server fails.
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
    reason = "what a test takes for granted fails it, with its place"
)]

mod authority;
pub mod etcd;
pub mod process;
pub mod redis;

pub use self::authority::Authority;
