//! The keepalive of a shard: one task with a coarse clock, no timer per connection.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::{Shard, context::HubContext, index::Scope};
use crate::Config;

/// Connections that are looked at before others may run.
const SLICE: usize = 1024;

/// Looks at every connection of the shard, tick by tick, for ever.
pub(super) async fn run(shard: Arc<Shard>, context: Arc<HubContext>) {
    let mut ticks = tokio::time::interval(tick(&context.config));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = context.clock.tick();
        let Some(members) = shard.index.lock().audience(Scope::Everyone) else {
            continue;
        };
        for slice in members.chunks(SLICE) {
            for conn in slice {
                conn.check_liveness(now);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// An eighth of the shortest time that is watched, at most a second: times are kept to that.
fn tick(config: &Config) -> Duration {
    let shortest = config
        .ping_interval
        .min(config.ping_timeout)
        .min(config.message_timeout);
    (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}
