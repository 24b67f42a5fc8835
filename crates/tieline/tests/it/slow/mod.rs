//! Clients, networks and machines that are slow: who is kept, who is closed, and what that costs others.

mod backpressure;
mod bursts;
mod compressing;
mod outbox_memory;
mod paused_process;
mod progress;
mod waiting;

use std::time::Duration;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
