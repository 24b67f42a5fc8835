//! The keepalive of a shard: pings silent clients, and closes those that stay silent.
//!
//! Owns the rules of silence. The sweep only suspects; the connection's task looks at the socket before the
//! connection is closed. One task per shard with a coarse clock, no timer per connection; times are
//! therefore kept to a tick.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use super::{
    context::HubContext,
    index::Place,
    inner::ConnectionInner,
    members::KEPT_CAPACITY,
    shard::Shard,
    state::{Activity, Lifecycle},
};
use crate::{close::CloseReason, config::Config};

/// Checks every connection of the shard at each tick, for ever.
pub(super) async fn run(shard: Arc<Shard>, context: Arc<HubContext>) {
    let tick = tick(&context.config);
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut slice = Vec::with_capacity(KEPT_CAPACITY);
    loop {
        ticks.tick().await;
        let now = context.clock.tick(2 * tick);
        let mut next = Some(Place::START);
        while let Some(place) = next {
            next = shard.index.lock().copy_connections(place, &mut slice);
            for conn in slice.drain(..) {
                conn.check_liveness(now);
            }
            if next.is_some() {
                tokio::task::yield_now().await;
            }
        }
        slice.shrink_to(KEPT_CAPACITY);
    }
}

/// An eighth of the shortest of the times that are checked, 5 ms to 1 s.
fn tick(config: &Config) -> Duration {
    let shortest = config
        .ping_interval
        .min(config.ping_timeout)
        .min(config.message_timeout);
    (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

impl ConnectionInner {
    /// Pings the client if it has been silent, closes the connection if it stays so.
    fn check_liveness(self: &Arc<Self>, now: u32) {
        let activity = self.state.activity();
        // Loaded second: see `state` on why the two agree.
        let closing = self.state.reached(Lifecycle::Closing);
        let handler_running = activity.contains(Activity::HANDLER_RUNNING);
        if closing {
            return;
        }
        if handler_running && !activity.contains(Activity::STALLED_SENDER) {
            // From here on it would count, if somebody waited for room.
            self.last_activity.store(now, Ordering::Relaxed);
            return;
        }
        let config = &self.context.config;
        let silence = since(now, &self.last_activity);
        if activity.contains(Activity::MESSAGE_PARTIAL)
            && !activity.contains(Activity::READ_PAUSED)
            && !handler_running
            && since(now, &self.message_start) > config.message_timeout
        {
            self.close(CloseReason::Unfinished);
        } else if silence < config.ping_interval {
            if activity.contains(Activity::PING_SENT) {
                self.state.set(Activity::PING_SENT, false);
            }
        } else if !activity.contains(Activity::PING_SENT) {
            // The client has the whole timeout to answer, however long it was silent: the node itself may
            // have been suspended.
            self.last_activity
                .store(before(now, config.ping_interval), Ordering::Relaxed);
            self.state.set(Activity::PING_SENT, true);
            self.ping();
        } else if silence > config.ping_interval + config.ping_timeout {
            self.state.set(Activity::SUSPECTED, true);
            self.send_side.lock().wake();
        }
    }

    /// Closes the connection while a callback runs, which is when nothing is read, if somebody waits for room
    /// in the outbox and the client takes nothing: a callback that waits for room would wait for ever.
    pub(crate) fn close_if_stalled(&self) {
        if self.is_suspected() {
            if self.state.is(Activity::STALLED_SENDER) {
                self.close_if_silent();
            } else {
                self.state.set(Activity::SUSPECTED, false);
            }
        }
    }

    /// Whether the keepalive has found the client silent, so that the task must look at the socket.
    pub(crate) fn is_suspected(&self) -> bool {
        self.state.is(Activity::SUSPECTED)
    }

    /// Closes the connection if the client is silent, now that the task has looked at the socket: an answer
    /// may have waited in the kernel, for as long as the process was suspended or busy. True if it closed.
    pub(crate) fn close_if_silent(&self) -> bool {
        self.state.set(Activity::SUSPECTED, false);
        let config = &self.context.config;
        let silence = since(self.context.clock.now(), &self.last_activity);
        if self.is_closing() || silence <= config.ping_interval + config.ping_timeout {
            return false;
        }
        // The close frame is for a client that is alive and does not answer; a dead one is not waited for.
        let activity = self.state.activity();
        let is_full =
            activity.contains(Activity::READ_PAUSED) || activity.contains(Activity::STALLED_SENDER);
        self.close_now(if is_full {
            self.context.rules.budget.count_slow_consumer();
            CloseReason::SlowConsumer
        } else {
            CloseReason::Silent
        });
        true
    }
}

/// How long ago `then` was by the coarse clock. What happened after `now` was read, possibly by another
/// shard's tick, counts as now.
#[expect(
    clippy::cast_possible_wrap,
    reason = "differences are far below 24 days"
)]
fn since(now: u32, then: &AtomicU32) -> Duration {
    let passed = now.wrapping_sub(then.load(Ordering::Relaxed)) as i32;
    Duration::from_millis(passed.max(0).unsigned_abs().into())
}

/// The clock's reading some time before `now`; settings are at most a day.
#[expect(clippy::cast_possible_truncation, reason = "the clock wraps")]
fn before(now: u32, time: Duration) -> u32 {
    now.wrapping_sub(time.as_millis() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_after_the_clock_was_read_counts_as_now() {
        let last_activity = AtomicU32::new(1005);
        assert_eq!(since(1000, &last_activity), Duration::ZERO);
        assert_eq!(since(1010, &last_activity), Duration::from_millis(5));
    }

    #[test]
    fn differences_survive_the_wrap_of_the_clock() {
        let then = before(10, Duration::from_millis(30));
        assert_eq!(since(10, &AtomicU32::new(then)), Duration::from_millis(30));
    }
}
