//! The orderly end of a node.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::Node;
use crate::{CloseReason, Connection, Handler};

/// What a drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were asked to go, with 1012.
    pub closed: usize,
    /// Tasks that were still running at the deadline; zero is an orderly end.
    pub left: usize,
}

impl<H: Handler> Node<H> {
    /// Ends the node in order: new upgrades are answered 503; connections are closed with 1012, one
    /// after the other at random moments of [`Config::drain_window`](crate::Config::drain_window), so
    /// that clients come back spread over it; then every task is waited for, until
    /// [`Config::drain_timeout`](crate::Config::drain_timeout). In a cluster each client's entry goes with
    /// its close, and the node leaves when all are gone. A further call does the same with what
    /// is left.
    pub async fn drain(&self) -> Drained {
        let config = self.hub().config();
        let deadline = Instant::now() + config.drain_timeout;
        self.0.draining.store(true, Ordering::Release);
        self.0.tasks.close();
        #[cfg(feature = "cluster")]
        if let Some(cluster) = self.cluster() {
            cluster.is_ending().await;
        }
        let closed = self.close_paced(config.drain_window).await;
        let _ = tokio::time::timeout_at(deadline, self.0.tasks.wait()).await;
        let left = self.0.tasks.len();
        #[cfg(feature = "cluster")]
        if let Some(cluster) = self.cluster() {
            cluster.leave().await;
        }
        tracing::info!(closed, left, "drained");
        Drained { closed, left }
    }

    async fn close_paced(&self, window: Duration) -> usize {
        let mut connections = self.hub().connections();
        fastrand::shuffle(&mut connections);
        let begin = Instant::now();
        let count = connections.len();
        for (connection, moment) in connections.iter().zip(moments(count, window)) {
            tokio::time::sleep_until(begin + moment).await;
            close(connection);
        }
        // Those whose upgrade was under way when the drain began.
        let late = self.hub().connections();
        late.iter().for_each(close);
        count + late.len()
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
    // The first leaves at once: a drain of one connection is not to wait for the window.
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
