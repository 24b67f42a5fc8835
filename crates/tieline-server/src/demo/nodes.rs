//! What the demo's nodes are called: by the address of their page, since that is what a visitor sees.

use std::{net::SocketAddr, sync::Arc};

/// The nodes of this process: where the page of each is, and where other nodes reach it.
#[derive(Debug, Clone)]
pub(crate) struct Nodes(Arc<[(SocketAddr, Option<Arc<str>>)]>);

impl Nodes {
    /// Where the pages are.
    pub(crate) fn pages(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(page, _)| *page)
    }

    /// A node's name by the address under which nodes know it; nodes of other processes are called by
    /// that address.
    pub(super) fn name(&self, address: Option<&str>) -> String {
        let known = self.0.iter().find(|(_, peers)| peers.as_deref() == address);
        match known {
            Some((page, _)) => page.to_string(),
            None => address.unwrap_or_default().to_owned(),
        }
    }
}

impl FromIterator<(SocketAddr, Option<Arc<str>>)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (SocketAddr, Option<Arc<str>>)>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}
