//! Who is told of comings and goings.

use std::sync::Arc;

use super::ConnectionInner;

/// A name that many connections may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKey<'a> {
    User(&'a str),
    Group(&'a str),
}

/// Is told what changes in a hub, under the lock of the shard where it does: it must be quick, and must
/// not call the hub. A crowd may live in several shards, so each of these is told once per shard.
pub(crate) trait HubObserver: Send + Sync + 'static {
    /// The first member of a crowd came.
    fn gained(&self, crowd: ScopeKey<'_>);
    /// The last member of a crowd left.
    fn lost(&self, crowd: ScopeKey<'_>);
    /// A connection is not in the hub any more. May be told more than once.
    fn left(&self, conn: &Arc<ConnectionInner>);
}
