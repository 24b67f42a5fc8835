//! The orderly end of a node.
//!
//! Owns the pace of the closes, and which of them wait for a message. Must not know what is served.

use std::time::Duration;

use tokio::time::Instant;

use super::api::Node;
use crate::{close::CloseReason, handler::Handler, hub::Connection};

/// How often it is looked whether messages in pieces have ended: the end of one tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The result of a drain.
///
/// ```
/// use tieline::{Handler, Node};
///
/// async fn stop<H: Handler>(node: &Node<H>) {
///     let drained = node.drain().await;
///     println!("{} connections closed", drained.closed);
///     if drained.remaining > 0 {
///         println!("{} tasks did not end in time", drained.remaining);
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were closed, with code 1012 or that of their farewell.
    pub closed: usize,
    /// Tasks that were still running at the deadline; zero is an orderly end.
    pub remaining: usize,
}

impl<H: Handler> Node<H> {
    /// Ends the node in order. It refuses new upgrades with 503, closes connections of all namespaces with code 1012
    /// or their [farewell](crate::Accept::farewell), at random moments within [`Config::drain_window`](crate::Config::drain_window), so that clients reconnect spread
    /// over that time. A client that is being sent a message [in pieces](crate::Connection::stream_text) is closed when
    /// that has ended, [`Config::close_timeout`](crate::Config::close_timeout) before the end of the drain at the
    /// latest. The drain waits for every task until
    /// [`Config::drain_timeout`](crate::Config::drain_timeout). In a cluster, each client's entry is released
    /// with its close, and the node leaves the cluster at the end. A further call does the same with what
    /// remains.
    pub async fn drain(&self) -> Drained {
        let config = self.hub().config();
        let deadline = Instant::now() + config.drain_timeout;
        self.begin_drain();
        self.0.tasks.close();
        #[cfg(feature = "cluster")]
        if let Some(cluster) = self.cluster() {
            cluster.is_ending().await;
        }
        let last_close = deadline - config.close_timeout.min(config.drain_timeout);
        let closed = self.close_paced(config.drain_window, last_close).await;
        // Connections and upgrades; and what the application has spawned on connections, which ends with them.
        let (own, spawned) = (&self.0.tasks, self.hub().tasks());
        spawned.close();
        let all = async { (own.wait().await, spawned.wait().await) };
        let _ = tokio::time::timeout_at(deadline, all).await;
        let remaining = own.len() + spawned.len();
        #[cfg(feature = "cluster")]
        if let Some(cluster) = self.cluster() {
            cluster.leave().await;
        }
        // At the very end, so that newcomers are told as long as there are any.
        self.0.farewells.end(deadline).await;
        tracing::info!(closed, remaining, "drained");
        Drained { closed, remaining }
    }

    async fn close_paced(&self, window: Duration, last_close: Instant) -> usize {
        let mut connections = self.hub().all_connections();
        fastrand::shuffle(&mut connections);
        let start = Instant::now();
        let count = connections.len();
        let mut in_message = Vec::new();
        for (connection, moment) in connections.into_iter().zip(moments(count, window)) {
            tokio::time::sleep_until(start + moment).await;
            if connection.inner().is_sending_pieces() {
                in_message.push(connection);
            } else {
                close(&connection);
            }
        }
        close_after_messages(in_message, last_close).await;
        // Those whose upgrade was in progress when the drain began.
        let late = self.hub().all_connections();
        late.iter().for_each(close);
        count + late.len()
    }
}

/// Closes each of these when its message has ended, or at the last moment.
async fn close_after_messages(mut connections: Vec<Connection>, last_close: Instant) {
    while !connections.is_empty() {
        let is_last = Instant::now() >= last_close;
        connections.retain(|connection| {
            let goes_on = !is_last && connection.inner().is_sending_pieces();
            if !goes_on {
                close(connection);
            }
            goes_on
        });
        if !connections.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn close(connection: &Connection) {
    let hub = connection.hub();
    hub.close_connection(connection.inner(), CloseReason::Drain);
}

/// One moment for each of `count` closes, spread evenly over the window and jittered within its part.
fn moments(count: usize, window: Duration) -> impl Iterator<Item = Duration> {
    #[expect(clippy::cast_precision_loss, reason = "moments are not exact")]
    let moment = move |i: usize| (i as f64 + fastrand::f64()) / count as f64;
    // The first closes at once: the drain of a single connection need not wait.
    (0..count).map(move |i| {
        if i == 0 {
            Duration::ZERO
        } else {
            window.mul_f64(moment(i))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_order_and_fill_the_window() {
        let window = Duration::from_secs(10);
        let moments: Vec<_> = moments(100, window).collect();
        assert!(moments.is_sorted());
        assert!(moments[99] < window);
        assert!(moments[99] >= window.mul_f64(0.99));
        assert_eq!(moments[0], Duration::ZERO);
    }
}
