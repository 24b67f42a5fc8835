//! Closing the slowest clients when the outboxes of a node take too much memory together.
//!
//! Owns the choice of who goes: the clients for whom most waits, until the budget has room again. One task
//! per hub, which also reports in the log, at most every ten seconds, how many clients were closed because
//! they read too slowly. Must not know how frames are counted.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use super::{context::HubContext, index::Place, inner::ConnectionInner, shard::Shard};

/// The shortest time between two lines in the log.
const REPORT: Duration = Duration::from_secs(10);

/// Closes clients whenever the budget is exceeded, for ever.
pub(super) async fn run(shards: Vec<Arc<Shard>>, context: Arc<HubContext>) {
    let mut reports = tokio::time::interval_at(Instant::now() + REPORT, REPORT);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = (0, 0);
    loop {
        tokio::select! {
            () = context.rules.budget.exceeded() => shed(&shards, &context).await,
            _ = reports.tick() => report(&context, &mut reported),
        }
    }
}

async fn shed(shards: &[Arc<Shard>], context: &HubContext) {
    let budget = &context.rules.budget;
    let mut waiting = waiting(shards).await;
    waiting.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
    for (_, conn) in waiting {
        if budget.excess() == 0 {
            return;
        }
        conn.shed();
    }
}

/// The connections for which something waits, and how many bytes that is.
async fn waiting(shards: &[Arc<Shard>]) -> Vec<(usize, Arc<ConnectionInner>)> {
    let (mut waiting, mut slice) = (Vec::new(), Vec::new());
    for shard in shards {
        let mut next = Some(Place::START);
        while let Some(place) = next {
            next = shard.index.lock().copy_connections(place, &mut slice);
            let sizes = slice.drain(..).map(|conn| (conn.waiting_bytes(), conn));
            waiting.extend(sizes.filter(|(bytes, _)| *bytes > 0));
            tokio::task::yield_now().await;
        }
    }
    waiting
}

/// How many bytes wait for the connection for which most waits.
pub(super) fn largest(shards: &[Arc<Shard>]) -> usize {
    let (mut largest, mut slice) = (0, Vec::new());
    for shard in shards {
        let mut next = Some(Place::START);
        while let Some(place) = next {
            next = shard.index.lock().copy_connections(place, &mut slice);
            let sizes = slice.drain(..).map(|conn| conn.waiting_bytes());
            largest = sizes.fold(largest, usize::max);
        }
    }
    largest
}

fn report(context: &HubContext, reported: &mut (u64, u64)) {
    let budget = &context.rules.budget;
    let closed = budget.closed();
    if closed == *reported {
        return;
    }
    let (slow, shed) = (closed.0 - reported.0, closed.1 - reported.1);
    *reported = closed;
    // `slow` for their own full outbox, `shed` because all outboxes together exceeded their budget.
    tracing::warn!(
        slow,
        shed,
        waiting_bytes = budget.waiting(),
        max_outbox_memory = budget.limit(),
        "closed clients that read too slowly"
    );
}
