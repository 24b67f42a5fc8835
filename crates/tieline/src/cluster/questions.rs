//! What the application asks of the cluster: lists, whether clients are online, and the handlers of other nodes.
//!
//! Owns nothing: it hands on to the router. Must not know how a question travels.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;

use super::{
    api::Cluster,
    directory::NodeRegistrar,
    stats::ClusterStats,
    summary::{Counted, Listed, NodeReply, OnlineStatus},
};
use crate::{ask::Ask, counts::Counts};

/// Lists and questions.
impl Cluster {
    /// Whether each of these clients is connected, in the order of `ids`. Costs a request to the
    /// registry for each client that is not here, and one to its node.
    pub async fn online<I>(&self, ids: I) -> Vec<OnlineStatus>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let ids = ids
            .into_iter()
            .map(|id| Arc::from(self.names().key(id.as_ref())));
        let asked: Vec<_> = ids.map(|id| self.router.online_status(id)).collect();
        let mut statuses = Vec::with_capacity(asked.len());
        for status in asked {
            statuses.push(status.await);
        }
        statuses
    }

    /// A page of the clients in a group, sorted, with their nodes. It begins after the name `after`, and
    /// holds at most `limit` names, 1,000 at most. Costs each node with members a visit of these.
    pub async fn members(&self, group: &str, after: Option<&str>, limit: usize) -> Listed {
        self.router
            .list_members(self.names(), group, after, limit)
            .await
    }

    /// A page of all clients, as [`members`](Self::members). Costs each node a visit of all of its
    /// connections.
    pub async fn clients(&self, after: Option<&str>, limit: usize) -> Listed {
        self.router.list_clients(self.names(), after, limit).await
    }

    /// A page of all users, as [`members`](Self::members). A user on several nodes is listed once for
    /// each. Costs each node a visit of all of its users.
    pub async fn users(&self, after: Option<&str>, limit: usize) -> Listed {
        self.router.list_users(self.names(), after, limit).await
    }
}

/// Counts.
impl Cluster {
    /// What this node has counted, and the state of its links. What passes through its own hub is in
    /// [`Hub::stats`](crate::Hub::stats). Cheap, a lock for each peer: for a page of metrics.
    ///
    /// ```
    /// # use tieline::{Cluster, Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let cluster = Cluster::single_node(Hub::new(Config::default())?);
    /// for peer in cluster.stats().peers {
    ///     println!("{}: up {}, {} bytes wait", peer.address, peer.up, peer.queued_bytes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> ClusterStats {
        let directory = &self.router.directory;
        let (lookups, lookups_failed) = directory.lookups();
        let claims = directory.registrar().map(NodeRegistrar::claims);
        let claims = claims.unwrap_or_default();
        ClusterStats {
            peers: self.peers(),
            registry_available: directory.is_available(),
            entries: self.entries(),
            lookups,
            lookups_failed,
            claims_granted: claims.granted,
            claims_refused: claims.refused,
            audits: claims.audits,
            swept: claims.swept,
            claim_requests_failed: claims.failed_requests,
            nodes_missed: self.router.nodes_missed.load(Ordering::Relaxed),
            links_ended: self.router.peers.links_ended(),
        }
    }

    /// A page of all groups, as [`members`](Self::members). A group with members on several nodes is listed once for
    /// each. Costs each node a visit of all of its groups.
    pub async fn groups(&self, after: Option<&str>, limit: usize) -> Listed {
        self.router.list_groups(self.names(), after, limit).await
    }

    /// How many connections are in a group, on all nodes, closing ones included. Costs one request to each other node
    /// that may have one, and no time that grows with their number.
    pub async fn group_len(&self, group: &str) -> Counted {
        self.router.group_len(self.names(), group).await
    }

    /// How many connections a user has, on all nodes, as [`group_len`](Self::group_len).
    pub async fn user_len(&self, user: &str) -> Counted {
        self.router.user_len(self.names(), user).await
    }

    /// How many connections, users and groups there are, on all nodes. A user or a group on several nodes counts once
    /// for each. Costs each node a visit of all of its users and groups: for an operator's page, not for every message.
    pub async fn counts(&self) -> Counted<Counts> {
        self.router.counts(self.names()).await
    }
}

/// Asking handlers.
impl Cluster {
    /// Asks the handler of the node that has this client: hands `request` to its
    /// [`Handler::on_request`](crate::Handler::on_request), and yields the reply, or an
    /// [`AskError`](crate::AskError) that says why there is none. It waits 5 s, or as long as
    /// [`Ask::timeout`] says.
    ///
    /// The request goes to whichever node has the client, this one included, and follows a client that moves, as
    /// [`emit`](Self::emit) does; it is handed to a callback at most once. If it cannot be sent within a second, it
    /// is given up as [`AskError::Unreachable`](crate::AskError::Unreachable). Request and reply may have as many
    /// bytes as `ClusterConfig::link_queue_bytes`, less 2 KiB.
    ///
    /// Order: what the callback sends to the client arrives behind what this task has sent to it before the ask.
    /// Requests run side by side, so that the order in which two of them take effect is not promised, nor is that of
    /// a request and of what is sent after it.
    ///
    /// Costs a message each way, and a task on the client's node; within this node, the task.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tieline::{AskError, Cluster};
    ///
    /// /// Asks a player's node for the score that its handler keeps.
    /// async fn score(cluster: &Cluster, player: &str) -> Option<u64> {
    ///     let ask = cluster.ask(player, "score").timeout(Duration::from_secs(2));
    ///     match ask.await {
    ///         Ok(reply) => std::str::from_utf8(&reply).ok()?.parse().ok(),
    ///         Err(AskError::Offline) => None,
    ///         Err(error) => {
    ///             println!("no score of {player}: {error}");
    ///             None
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ask(&self, id: &str, request: impl Into<Bytes>) -> Ask {
        let id: Arc<str> = self.names().key(id).into();
        let (router, request) = (Arc::clone(&self.router), request.into());
        Ask::new(|deadline| router.ask(id, request, deadline))
    }

    /// Asks one node, by the address that [`address`](Self::address) and [`peers`](Self::peers) give: hands `request`
    /// to its [`Handler::on_node_request`](crate::Handler::on_node_request). For operators' questions, such as the
    /// length of a queue. Otherwise as [`ask`](Self::ask).
    pub fn ask_node(&self, node: &str, request: impl Into<Bytes>) -> Ask {
        let (router, node, request) = (Arc::clone(&self.router), Arc::from(node), request.into());
        Ask::new(|deadline| router.ask_node(node, request, deadline))
    }

    /// Asks every node, this one included (unless it is a backend), as [`ask_node`](Self::ask_node). Yields a
    /// reply, or why there is none, for each, sorted by address.
    ///
    /// ```
    /// use tieline::Cluster;
    ///
    /// async fn versions(cluster: &Cluster) {
    ///     for node in cluster.ask_all("version").await {
    ///         let name = node.node.as_deref().unwrap_or("this node");
    ///         match node.reply {
    ///             Ok(version) => println!("{name}: {}", String::from_utf8_lossy(&version)),
    ///             Err(error) => println!("{name}: {error}"),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ask_all(&self, request: impl Into<Bytes>) -> Ask<Vec<NodeReply>> {
        let (router, request) = (Arc::clone(&self.router), request.into());
        Ask::new(|deadline| router.ask_all(request, deadline))
    }
}
