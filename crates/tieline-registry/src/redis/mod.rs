//! The registry on Redis: a single server, Sentinel, or Cluster.
//!
//! Owns the shared layout on Redis and the way there. What the operations mean is the contract's
//! ([`Registry`](crate::Registry)); each is one script, which the server runs as a whole, so that
//! nothing is decided here that another node could invalidate. Must not know nodes, connections or
//! what is done with an answer.
//!
//! Top-down: `options` (what the user says), `operations` (the contract), `line` (a connection that
//! comes back), `dial` (which server), `connection` (one connection), `scripts` and `keys`.

mod client;
mod connection;
mod connector;
mod keys;
mod operations;
mod options;
mod reply;
mod scripts;
mod server_error;
mod tls;
mod url;

pub use self::options::RedisOptions;
use self::{client::ReconnectingClient, keys::Keys};
use crate::error::RegistryError;

/// A registry on Redis 5 or later, or what speaks its protocol and runs its scripts.
///
/// It keeps one connection, shared by all operations, to the server that holds the data, and dials
/// anew by itself: after an error of the connection, when nothing is answered within the timeout, and
/// when the server is no longer the master. Each operation has a deadline, 1 s by default, and is sent
/// twice where the connection broke, which does no harm.
///
/// # Where the servers are
///
/// | URL | deployment |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | a single server; port 6379, database 0 |
/// | `redis+sentinel://[user:password@]host[:port],…/NAME[/database]` | sentinels, port 26379, and the name of the master; the user is the master's, the sentinels' own go into `?sentinel_user=…&sentinel_password=…` |
/// | `redis+cluster://[user:password@]host[:port],…` | some servers of a cluster; the others are learned |
///
/// With `rediss` in place of `redis`, all connections are TLS. User and password are percent-encoded;
/// `:password@` is the default user's. Sentinels and servers of a cluster name each other by addresses
/// that must be reachable from here, and with TLS must stand in their certificates.
///
/// # What is stored
///
/// The prefix names one hash, id → `host:port`, which other programs may read and write: the layout of
/// the Go package go-websocket. All else has names of its own, where `T` is the prefix in braces, or
/// the prefix itself if it has a hash tag (`{…}`):
///
/// | key | content |
/// |---|---|
/// | `T:own` | hash: id → `"stamp host:port"`, what Tieline wrote |
/// | `T:node:host:port` | set: the ids of a node |
/// | `T:nodes` | hash: node → process |
/// | `T:leases` | sorted set: node → end of its lease, ms of the server's clock |
/// | `T:clock` | the cluster's clock, µs |
///
/// All of it falls into one slot of a cluster. Nothing grows with the number of past connections: an id
/// that stands costs about 300 bytes. The server must not evict keys (`maxmemory-policy noeviction`).
///
/// # What the user may do
///
/// These permissions suffice, for the prefix `ws`; a connection that lacks one is refused:
///
/// ```text
#[doc = include_str!("acl.txt")]
/// ```
///
/// A cluster's user may have `+cluster|slots` as well, and learns the other servers with it.
#[derive(Debug)]
pub struct RedisRegistry {
    client: ReconnectingClient,
    keys: Keys,
}

impl RedisRegistry {
    /// Reaches a server and checks it: that it holds the data (is no replica), is recent enough, and
    /// permits what is needed. [`RedisOptions`] has what the URL cannot say.
    ///
    /// # Errors
    ///
    /// A [refusal](RegistryError::is_refusal) where the configuration has to change, and says what; any
    /// other error where the server could not be reached and may be, later. Waits three times the
    /// timeout at most.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RegistryError> {
        RedisOptions::new(url, prefix).connect().await
    }
}
