//! Sending to one client, and learning whether the message has left.
//!
//! Owns nothing: a tracked message carries its tracker, and the outbox reports where frames leave.

use super::{content::Content, core::Hub, handle::Connection, room::SendError};
use crate::{delivery::Delivery, receipt::Receipt, written::TrackedReceipt};

impl Connection {
    /// As [`emit`](Self::emit), and tells when the message has left for the client: see [`TrackedReceipt`]. Costs
    /// five small allocations more.
    pub fn emit_tracked(&self, content: impl Into<Content>) -> TrackedReceipt {
        let (cast, written) = content.into().into_unicast().tracked();
        TrackedReceipt::new(self.hub().emit_to(self.inner(), cast), written)
    }

    /// As [`send`](Self::send), and tells when the message has left for the client, in a receipt whose delivery is
    /// [`Delivered`](crate::Delivery::Delivered).
    ///
    /// ```
    /// # use tieline::{Connection, Frame, SendError, WriteOutcome};
    /// /// Sends all of a log, and returns whether it has left.
    /// async fn replay(connection: &Connection, log: Vec<Frame>) -> Result<bool, SendError> {
    ///     for frame in log {
    ///         connection.send(frame).await?;
    ///     }
    ///     let mut end = connection.send_tracked("end of log").await?;
    ///     Ok(end.written().await == WriteOutcome::Written)
    /// }
    /// ```
    ///
    /// # Errors
    /// As those of [`send`](Self::send).
    pub async fn send_tracked(
        &self,
        content: impl Into<Content>,
    ) -> Result<TrackedReceipt, SendError> {
        let (cast, written) = content.into().into_unicast().tracked();
        self.hub().send_when_ready(self.inner(), cast).await?;
        let delivered = Receipt::decided(Delivery::Delivered);
        Ok(TrackedReceipt::new(delivered, written))
    }
}

impl Hub {
    /// As [`emit`](Self::emit), and tells when the message has left for the client: see [`TrackedReceipt`]. Costs
    /// five small allocations more.
    ///
    /// ```
    /// # use tieline::{Config, Delivery, Hub, WriteOutcome};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// let mut receipt = hub.emit_tracked("alice", "hello");
    /// let outcome = receipt.written().await;
    /// assert_eq!(outcome, WriteOutcome::NotDelivered(Delivery::Offline));
    /// # Ok(())
    /// # }
    /// ```
    pub fn emit_tracked(&self, id: &str, content: impl Into<Content>) -> TrackedReceipt {
        let (cast, written) = content.into().into_unicast().tracked();
        TrackedReceipt::new(self.emit_cast(&self.names().key(id), cast), written)
    }
}
