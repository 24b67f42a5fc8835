//! The outbound side without sockets.

mod dial;
mod liveness;
mod queue;
mod state;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::link::{
    outcome::{Completion, Outcome},
    proto::{self, OutcomeCode, RequestKind},
    transport::Tasks,
};

impl Completion for u64 {
    fn complete(self, _: Outcome) {}
}

const DELIVERED: Outcome = Outcome::Code(OutcomeCode::Delivered);

fn emit(bytes: usize) -> RequestKind {
    RequestKind::Emit(proto::Emit {
        data: vec![0; bytes].into(),
        ..proto::Emit::default()
    })
}

fn connection() -> Tasks {
    Tasks::new(TaskTracker::new())
}

/// Instants in milliseconds after a fixed one.
fn clock() -> impl Fn(u64) -> Instant {
    let start = Instant::now();
    move |ms| start + Duration::from_millis(ms)
}
