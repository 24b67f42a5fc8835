//! One round: nodes claim ids as fast as the registry answers.
//!
//! Owns the ids, the batches and the time limit of the round. Must not know the requests to the
//! registry, nor release anything. Invariant: no id is claimed twice in a round.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tieline::ClientId;
use tieline_bench::{
    outcome::Latency,
    registry::{ClaimResult, ProgressBar},
};
use tokio::task::JoinSet;

use super::node::{BATCH, IN_FLIGHT, Node};

/// How often progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// The work of one task of a node.
#[derive(Clone)]
struct ClaimTask {
    node: Arc<Node>,
    number: usize,
    /// The next id of the node, shared by its tasks.
    next: Arc<AtomicUsize>,
    ids: usize,
    moved: bool,
    end: Instant,
}

/// Each node claims its number of ids, until all are claimed or the time is over. Also yields how many ids
/// each has requested.
pub(super) async fn run(
    nodes: &[Arc<Node>],
    ids: &[usize],
    duration: Duration,
    moved: bool,
    bar: &ProgressBar,
) -> anyhow::Result<(ClaimResult, Vec<usize>)> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    let claim_tasks = nodes.iter().zip(ids).enumerate();
    let claim_tasks = claim_tasks.map(|(number, (node, ids))| ClaimTask {
        node: Arc::clone(node),
        number,
        next: Arc::default(),
        ids: *ids,
        moved,
        end: begin + duration,
    });
    let claim_tasks: Vec<_> = claim_tasks.collect();
    for task in &claim_tasks {
        (0..IN_FLIGHT).for_each(|_| drop(tasks.spawn(task.clone().claim())));
    }
    let mut all = no_claims();
    let mut report = tokio::time::interval(REPORT_INTERVAL);
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => add(&mut all, &done??),
                None => break,
            },
            _ = report.tick() => progress(&claim_tasks, bar),
        }
    }
    all.elapsed = begin.elapsed();
    Ok((all, claim_tasks.iter().map(ClaimTask::requested).collect()))
}

fn progress(claim_tasks: &[ClaimTask], bar: &ProgressBar) {
    let requested = claim_tasks.iter().map(ClaimTask::requested).sum::<usize>();
    let of = claim_tasks.iter().map(|task| task.ids).sum::<usize>();
    let moved = claim_tasks.first().is_some_and(|task| task.moved);
    let what = if moved { "moves" } else { "fresh claims" };
    bar.step(
        requested as u64,
        of as u64,
        format!("{what}: {requested} of {of}"),
    );
}

impl ClaimTask {
    async fn claim(self) -> anyhow::Result<ClaimResult> {
        let mut claims = no_claims();
        while let Some(batch) = self.batch() {
            let ids = batch.map(|id| ClientId::new(format!("bench-{}-{id}", self.number)));
            let ids = ids.collect::<Result<Vec<_>, _>>()?;
            let begin = Instant::now();
            let found = self.node.claim(ids, self.moved).await?;
            let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            claims.latency.0.saturating_record(nanos);
            claims.granted += found.granted;
            claims.failed += found.failed;
        }
        Ok(claims)
    }

    /// The next batch, unless all ids are claimed or the time is over.
    fn batch(&self) -> Option<Range<usize>> {
        if Instant::now() >= self.end {
            return None;
        }
        let from = self.next.fetch_add(BATCH, Ordering::Relaxed);
        (from < self.ids).then(|| from..(from + BATCH).min(self.ids))
    }

    fn requested(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.ids)
    }
}

fn no_claims() -> ClaimResult {
    ClaimResult {
        granted: 0,
        failed: 0,
        elapsed: Duration::ZERO,
        latency: Latency::new(),
    }
}

fn add(all: &mut ClaimResult, more: &ClaimResult) {
    all.granted += more.granted;
    all.failed += more.failed;
    // Adding fails for different bounds only, and all histograms have the same.
    let _ = all.latency.0.add(&more.latency.0);
}
