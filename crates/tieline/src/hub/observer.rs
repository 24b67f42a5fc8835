//! Notifications of what changes in a hub.
//!
//! Owns the trait by which the cluster follows the hub, so that the hub need not know the cluster.

use std::sync::Arc;

use super::inner::ConnectionInner;

/// A scope that peers have to know: a namespace other than the default one by its name, users and groups by their
/// keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKey<'a> {
    Namespace(&'a str),
    User(&'a str),
    Group(&'a str),
}

/// Is called for each change, under the lock of the shard where it happens: it must be quick and must not
/// call the hub. The members of a scope may be in several shards; each shard reports its own.
pub(crate) trait HubObserver: Send + Sync + 'static {
    /// The first member of a scope has joined.
    fn gained(&self, key: ScopeKey<'_>);
    /// The last member of a scope has left.
    fn lost(&self, key: ScopeKey<'_>);
    /// A connection can be found by the id with this key from now on.
    fn entered(&self, key: &str);
    /// A connection is not in the hub any more. May be called more than once for the same connection.
    fn left(&self, conn: &Arc<ConnectionInner>);
}
