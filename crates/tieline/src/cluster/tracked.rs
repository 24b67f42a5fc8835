//! Sending to a client anywhere, and learning whether the message has left.
//!
//! Owns nothing: the message carries its tracker wherever it goes, and a peer reports by the link.

use super::api::Cluster;
use crate::{hub::Content, written::TrackedReceipt};

impl Cluster {
    /// As [`emit`](Self::emit), and tells when the message has left for the client: see [`TrackedReceipt`]. If
    /// another node has the client, that one reports in a response of its own, for up to 4,096 messages of each node
    /// that have not left; a node of an older version does not, and the outcome is
    /// [`Unknown`](crate::WriteOutcome::Unknown).
    ///
    /// ```
    /// use tieline::{CloseCode, CloseFrame, Cluster};
    ///
    /// /// Closes a client, wherever it is, with whether it was told why.
    /// async fn dismiss(cluster: &Cluster, id: &str, why: &str) -> bool {
    ///     let outcome = cluster.emit_tracked(id, why).written().await;
    ///     cluster.close(id, CloseFrame::new(CloseCode::NORMAL, "dismissed"));
    ///     outcome.is_written()
    /// }
    /// ```
    pub fn emit_tracked(&self, id: &str, content: impl Into<Content>) -> TrackedReceipt {
        let (cast, written) = content.into().into_unicast().tracked();
        TrackedReceipt::new(self.emit_cast(&self.names().key(id), cast), written)
    }
}
