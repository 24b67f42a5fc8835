//! The two tasks of a link: one dials, serves the stream and dials again; the other keeps time.
//!
//! Owns the backoff: the pause before a dial is random, up to 50 ms after the first failure, up to twice as
//! much after each further one, and up to 2 s at most. A dial that fails counts as a failure, and so does a
//! stream that ends within 2 s of its dial. After a stream that lasted longer, the next dial starts at once,
//! and requests wait for it. Must not know what requests mean. Invariant: `close` follows every dial, however
//! it ended, so that everything that waits for the stream gets its outcome.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    dial::LinkStatus,
    end::LinkEnd,
    exchange::exchange,
    peer_view::PeerView,
    shared::Shared,
    state::State,
    unary_client::{self, UnaryEnd},
};
use crate::link::{config::HANDSHAKE_TIMEOUT, outcome::Completion, transport::Connection};

/// The pause before a dial is random, between zero and a bound that doubles from the first to the second.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How often a peer that supports the unary service only is asked whether it supports the stream: its node
/// may have been replaced.
const STREAM_RETRY: Duration = Duration::from_secs(30);

/// Dials until the link is ended.
pub(super) async fn run<T: Completion>(shared: Arc<Shared<T>>) {
    shared.end.run_until_cancelled(dial_loop(&shared)).await;
    shared.close(State::on_end);
}

async fn dial_loop<T: Completion>(shared: &Arc<Shared<T>>) {
    let mut failures: u32 = 0;
    let mut last = None;
    // The process that was expected when its node shut down.
    let mut left = None;
    loop {
        let began = Instant::now();
        shared.with_state(|state| state.on_dial(began, failures == 0));
        // Boxed: its states are larger than everything else that the task holds.
        let end = Box::pin(run_connection(shared)).await;
        let was_up = matches!(
            *shared.status.borrow(),
            LinkStatus::Up | LinkStatus::Suspect
        );
        shared.close(State::on_close);
        match end {
            LinkEnd::Alias(_) => *shared.peer_view.write() = PeerView::Alias,
            // Each time, since the list that is read meanwhile may be older than the peer's join.
            LinkEnd::Replaced => shared.config.list_is_stale.notify_one(),
            _ => {}
        }
        if was_up {
            left = (end == LinkEnd::Shutdown).then(|| *shared.expected.lock());
        }
        // That nobody answers where a node has shut down is no news, until the registry expects another one there.
        let is_known = !was_up && left == Some(*shared.expected.lock());
        if is_known && matches!(end, LinkEnd::Broken(_)) {
            last = None;
        } else {
            if was_up || last.as_ref() != Some(&end) {
                shared.log_end(&end, was_up, failures);
            }
            last = Some(end);
        }
        // A stream that breaks at once is no better than a failed dial.
        failures = if was_up && began.elapsed() > BACKOFF_MAX {
            0
        } else {
            failures.saturating_add(1)
        };
        if failures > 0 {
            tokio::select! {
                () = sleep(backoff(failures)) => {}
                () = shared.dial_now.notified() => failures = 0,
            }
        }
    }
}

fn backoff(failures: u32) -> Duration {
    let max = BACKOFF_MAX.min(BACKOFF_MIN.saturating_mul(1 << (failures - 1).min(16)));
    max.mul_f64(fastrand::f64())
}

/// One connection, from its dial to its end.
async fn run_connection<T: Completion>(shared: &Arc<Shared<T>>) -> LinkEnd {
    let dial = Connection::dial(&shared.address, &shared.config, &shared.tasks);
    let connection = match timeout(HANDSHAKE_TIMEOUT, dial).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return LinkEnd::Broken(error.to_string()),
        Err(_) => return LinkEnd::Broken("the dial timed out".into()),
    };
    loop {
        let end = tokio::select! {
            end = exchange(shared, &connection) => end,
            () = shared.unexpected.notified() => LinkEnd::Replaced,
        };
        match end {
            LinkEnd::UnaryOnly => shared.on_unary_only(),
            end => return end,
        }
        let until = Instant::now() + STREAM_RETRY;
        match unary_client::serve(shared, &connection, until).await {
            UnaryEnd::RetryStream => {}
            UnaryEnd::Closed => return LinkEnd::Broken("the connection was closed".into()),
        }
    }
}

/// Ticks while the link is active. A timer for each request would cost more than the request.
pub(super) async fn run_timer<T: Completion>(shared: Arc<Shared<T>>) {
    let ticks = async {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = shared.timer.notified() => {}
            }
            next = shared.on_tick();
        }
    };
    shared.end.run_until_cancelled(ticks).await;
}

impl<T: Completion> Shared<T> {
    /// Decides everything that waits or was sent.
    fn close(&self, event: impl FnOnce(&mut State<T>)) {
        let before = std::mem::take(&mut *self.peer_view.write());
        if before.is_linked() {
            self.config.links_ended.fetch_add(1, Ordering::Relaxed);
        }
        self.with_state(event);
        self.config.answers.on_stream_end(&self.address);
        self.config.reports.forget_all_of(&self.address);
    }

    fn on_tick(&self) -> Instant {
        let tick = self.with_state(|state| state.on_tick(Instant::now()));
        if tick.became_suspect {
            tracing::warn!(peer = %self.address, "peer not responding");
        }
        tick.next
    }

    fn on_unary_only(&self) {
        let before = self.set_view(PeerView::UnaryOnly);
        self.with_state(|state| state.on_unary_only(Instant::now()));
        if !before.is_unary_only() {
            tracing::info!(peer = %self.address, "link up, with unary calls");
        }
    }

    /// Logs an end that is not the same as the last one.
    fn log_end(&self, end: &LinkEnd, was_up: bool, failures: u32) {
        let peer = &self.address;
        match end {
            LinkEnd::UnaryOnly => {}
            LinkEnd::Alias(address) => {
                tracing::info!(%peer, %address, "the peer is reached under another address");
            }
            LinkEnd::Replaced => {
                tracing::info!(%peer, "another process answers at the peer's address");
            }
            LinkEnd::Shutdown => tracing::info!(%peer, "peer shut down"),
            LinkEnd::Refused(why) => tracing::warn!(%peer, %why, "link refused"),
            LinkEnd::Broken(why) if was_up => tracing::warn!(%peer, %why, "link down"),
            LinkEnd::Broken(why) if failures == 0 => {
                tracing::warn!(%peer, %why, "cannot reach the peer");
            }
            LinkEnd::Broken(why) => tracing::debug!(%peer, %why, "cannot reach the peer"),
        }
    }
}
