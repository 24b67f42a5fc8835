//! Messages to many, without some.
//!
//! Owns the ids to leave out, and the filter. Must not know nodes: each call is the one of
//! [`Cluster`](super::Cluster) with these, which travel with the message to each node.

use std::sync::Arc;

use bytes::Bytes;

use super::{router::MessageRouter, summary::Summary};
use crate::{
    hub::{Content, ExcludedIds, Namespace, Scope},
    receipt::Receipt,
};

/// A cluster without some clients, made by [`Cluster::except`](crate::Cluster::except) and
/// [`Cluster::matching`](crate::Cluster::matching).
///
/// ```
/// # use tieline::{Cluster, Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// let summary = cluster.except(["alice"]).emit_group("lobby", "alice is here").await;
/// assert!(summary.is_complete());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClusterExcept<'a> {
    router: &'a Arc<MessageRouter>,
    names: &'a Namespace,
    ids: ExcludedIds,
    filter: Option<Bytes>,
}

impl<'a> ClusterExcept<'a> {
    pub(super) fn new(
        router: &'a Arc<MessageRouter>,
        names: &'a Namespace,
        ids: ExcludedIds,
    ) -> Self {
        Self {
            router,
            names,
            ids,
            filter: None,
        }
    }

    /// The same, for those only whom a filter admits, as [`Cluster::matching`](crate::Cluster::matching); it
    /// replaces an earlier filter.
    #[must_use]
    pub fn matching(mut self, filter: impl Into<Bytes>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Sends to every connection of a user except those left out.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.send(Scope::User(&self.names.key(user)), content.into())
    }

    /// Sends to every connection in a group except those left out.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.send(Scope::Group(&self.names.key(group)), content.into())
    }

    /// Sends to every connection of every node except those left out.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Summary> {
        self.send(self.names.everyone(), content.into())
    }

    fn send(&self, scope: Scope<'_>, content: Content) -> Receipt<Summary> {
        let cast = content.into_multicast(scope, self.filter.clone());
        self.router.send_multicast(scope, Some(&self.ids), cast)
    }
}
