//! The registry itself: a client and the names of the keys.
//!
//! Owns what users have to know: URLs, keys and permissions. Must not know the operations, which `operations`
//! and `scan` implement on it.

use super::{client::ReconnectingClient, keys::Keys};

/// A registry on Redis 5 or later, or on a server that speaks its protocol and runs its scripts.
///
/// It keeps one connection, shared by all operations, to the server that holds the data. It reconnects
/// by itself: when the connection breaks, when nothing is answered within the timeout, and when the
/// server is no longer the master. Each operation has a timeout, 1 s by default. If the connection
/// breaks, the operation is sent once more, which does no harm.
///
/// ```no_run
/// # async fn example() -> Result<(), tieline_registry::RegistryError> {
/// use tieline_registry::RedisRegistry;
///
/// let registry = RedisRegistry::connect("redis://:secret@10.0.0.1:6379", "ws").await?;
/// # drop(registry);
/// # Ok(())
/// # }
/// ```
///
/// # URLs
///
/// | URL | deployment |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | one server; the default port is 6379, the default database 0 |
/// | `redis+sentinel://[user:password@]host[:port],…/NAME[/database]` | sentinels (default port 26379) and the name of the master. The user is the master's; for the sentinels' own, append `?sentinel_user=…&sentinel_password=…` |
/// | `redis+cluster://[user:password@]host[:port],…` | some servers of a Redis Cluster; the others are discovered |
///
/// With `rediss` instead of `redis`, all connections use TLS. Percent-encode special characters in user
/// and password; use `:password@` for the default user. Sentinels and cluster servers announce each other
/// by address: these addresses must be reachable from here, and with TLS, the servers' certificates must
/// contain them.
///
/// # Stored keys
///
/// The prefix is the name of a hash, id → `host:port`, which other programs may read and write: the
/// layout of the Go package go-websocket. It has the default namespace only. The other keys begin with `T`: the prefix in braces, or the
/// prefix itself if it has a hash tag (`{…}`):
///
/// | key | content |
/// |---|---|
/// | `T:own` | hash: id → `"stamp host:port"`, as written by Tieline; the empty id → the epoch; two NULs → how many ids are in other namespaces, if any |
/// | `T:node:host:port` | set: the ids of a node, and the empty one |
/// | `T:nodes` | hash: node → process, and the epoch in which it has refilled |
/// | `T:leases` | sorted set: node → end of its lease, in ms of the cluster's clock |
/// | `T:clock` | the cluster's clock, in µs: it never goes back, whatever the server's does |
/// | `T:cluster` | the prefix; a node whose prefix is another one does not start, since `ws` and `{ws}` share these keys |
///
/// Presence adds these:
///
/// | key | content |
/// |---|---|
/// | `T:pt` | sorted set: term → end of its lease, in ms of the server's clock |
/// | `T:pq` | hash: term → number of its last put |
/// | `T:px` | set: terms that are over and still have entries |
/// | `T:pn:TERM` | set: the entries of a term |
/// | `T:pr:ROSTER` | hash: user → how many terms have it, and the information about it |
/// | `T:pi` | set: the rosters that have members |
/// | `T:pj` | stream: the journal, about 65,536 transitions of 100 bytes |
/// | `T:pb`, `T:ph` | hashes: the last beat, and the dispatcher |
///
/// A [value](crate::Values) is a key of its own:
///
/// | key | content |
/// |---|---|
/// | `T:value:KEY` | text: the value under the key of a name, removed by the server when its time is over |
///
/// An id is stored as its [key](crate::ClientId::key): in the default namespace, the name. In another one,
/// `T:own` and the set of its node are all that is stored of it.
///
/// All keys are in one slot of a Redis Cluster. The data does not grow with the number of past
/// connections; a connected client takes about 300 bytes. The server must not evict keys
/// (`maxmemory-policy noeviction`).
///
/// # Permissions
///
/// This ACL line grants exactly what is needed for the prefix `ws`. Connecting fails with
/// [`Denied`](crate::RegistryErrorKind::Denied) if a permission is missing.
///
/// ```text
#[doc = include_str!("acl.txt")]
/// ```
///
/// On a Redis Cluster, `+cluster|slots` lets the registry discover the other servers; it is optional.
#[derive(Debug)]
pub struct RedisRegistry {
    pub(super) client: ReconnectingClient,
    pub(super) keys: Keys,
}
