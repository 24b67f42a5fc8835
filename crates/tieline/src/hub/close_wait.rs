//! Waiting until a connection begins to close.
//!
//! Invariant: the connection keeps a signal only as long as somebody waits for it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::inner::ConnectionInner;

/// Somebody waits until a connection begins to close.
pub(super) struct CloseWait {
    conn: Arc<ConnectionInner>,
    /// Taken when this is dropped.
    signal: Option<Arc<CancellationToken>>,
}

impl CloseWait {
    pub(super) fn new(conn: &Arc<ConnectionInner>) -> Self {
        let mut send_side = conn.send_side.lock();
        // Whoever comes too late does not wait.
        let signal = (!conn.is_closing()).then(|| send_side.extras.wait_for_close());
        drop(send_side);
        Self {
            conn: Arc::clone(conn),
            signal,
        }
    }

    /// Waits until it begins to close, or has.
    pub(super) async fn over(&self) {
        if let Some(signal) = &self.signal {
            signal.cancelled().await;
        }
    }

    /// What a future yields, or `None` if the connection begins to close before.
    pub(super) async fn or<F: Future>(self, future: F) -> Option<F::Output> {
        self.signal.as_ref()?.run_until_cancelled(future).await
    }
}

impl Drop for CloseWait {
    fn drop(&mut self) {
        let mut send_side = self.conn.send_side.lock();
        // Under the lock, so that of those who stop at a time one is the last.
        drop(self.signal.take());
        send_side.extras.stop_waiting_for_close();
    }
}
