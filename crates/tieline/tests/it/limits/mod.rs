//! Every limit of `Config` at its edge: the limit passes, one more does not, others are unharmed.

mod broadcast_queue;
mod closing;
mod inbound;
mod liveness;
mod messages;
mod outbox;
mod own;
mod places;
mod requests;
mod slow_readers;

use std::time::Duration;

use crate::kit::close_frame;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
