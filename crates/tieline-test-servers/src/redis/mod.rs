//! Private Redis servers for one test each: a single server, a master with Sentinel, or a Redis
//! Cluster.
//!
//! Owns the processes that it starts, in temporary folders and on free ports, and ends only those.
//! Must not know what is stored in them.

mod cluster;
mod sentinel;
mod server;

pub use self::{
    cluster::RedisCluster,
    sentinel::Sentinels,
    server::{Redis, RedisSetup},
};
