//! Some nodes claim some ids, as fast as the registry answers.

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
    registry::{Bar, Claims},
};
use tokio::task::JoinSet;

use super::node::{BATCH, IN_FLIGHT, Node};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

/// What each task of a node does.
#[derive(Clone)]
struct Share {
    node: Arc<Node>,
    number: usize,
    /// The node's next id, which its tasks share.
    next: Arc<AtomicUsize>,
    ids: usize,
    moved: bool,
    end: Instant,
}

/// Each node claims so many ids, until all are claimed or the time is over. Also says how many ids
/// each has asked for.
pub(super) async fn play(
    nodes: &[Arc<Node>],
    ids: &[usize],
    duration: Duration,
    moved: bool,
    bar: &Bar,
) -> anyhow::Result<(Claims, Vec<usize>)> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    let shares = nodes.iter().zip(ids).enumerate();
    let shares = shares.map(|(number, (node, ids))| Share {
        node: Arc::clone(node),
        number,
        next: Arc::default(),
        ids: *ids,
        moved,
        end: begin + duration,
    });
    let shares: Vec<_> = shares.collect();
    for share in &shares {
        (0..IN_FLIGHT).for_each(|_| drop(tasks.spawn(share.clone().claim())));
    }
    let mut all = nothing();
    let mut tell = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => add(&mut all, &done??),
                None => break,
            },
            _ = tell.tick() => progress(&shares, bar),
        }
    }
    all.elapsed = begin.elapsed();
    Ok((all, shares.iter().map(Share::asked).collect()))
}

fn progress(shares: &[Share], bar: &Bar) {
    let asked = shares.iter().map(Share::asked).sum::<usize>();
    let of = shares.iter().map(|share| share.ids).sum::<usize>();
    let moved = shares.first().is_some_and(|share| share.moved);
    let what = if moved { "moves" } else { "fresh claims" };
    bar.step(asked as u64, of as u64, format!("{what}: {asked} of {of}"));
}

impl Share {
    async fn claim(self) -> anyhow::Result<Claims> {
        let mut claims = nothing();
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

    /// The next batch, unless all is done or the time is over.
    fn batch(&self) -> Option<Range<usize>> {
        if Instant::now() >= self.end {
            return None;
        }
        let from = self.next.fetch_add(BATCH, Ordering::Relaxed);
        (from < self.ids).then(|| from..(from + BATCH).min(self.ids))
    }

    fn asked(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.ids)
    }
}

fn nothing() -> Claims {
    Claims {
        granted: 0,
        failed: 0,
        elapsed: Duration::ZERO,
        latency: Latency::new(),
    }
}

fn add(all: &mut Claims, more: &Claims) {
    all.granted += more.granted;
    all.failed += more.failed;
    // Only histograms of other bounds cannot be added, and there are none.
    let _ = all.latency.0.add(&more.latency.0);
}
