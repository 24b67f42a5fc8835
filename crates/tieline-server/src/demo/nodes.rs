//! The names of the demo's nodes: the addresses of their pages, as visitors see those.

use std::{net::SocketAddr, sync::Arc};

/// The nodes of this process: the address of each one's page, and its address in the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Nodes(Arc<[(SocketAddr, Option<Arc<str>>)]>);

impl Nodes {
    /// The addresses of the pages.
    pub(crate) fn pages(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(page, _)| *page)
    }

    /// The name of the node with this address in the cluster. A node of another process is named by
    /// that address, because its page is unknown here.
    pub(super) fn name(&self, address: Option<&str>) -> String {
        let known = self.0.iter().find(|(_, known)| known.as_deref() == address);
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
