//! Numbered messages from a node to a client of another, for tests that disturb the link.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline::{Cluster, Delivery};
use tokio::{task::JoinHandle, time::sleep};

use crate::kit::{DECIDED_WITHIN, Reader, Stopwatch, eventually};

/// The outcome of a message, and how long it took.
pub(super) type Outcome = (Delivery, Duration);

/// A task that emits consecutive numbers, about one each millisecond, until it is stopped.
pub(super) struct NumberedMessages {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Outcome>>,
}

/// Awaits a receipt in its own task, so that the time does not depend on other receipts.
pub(super) fn timed(cluster: &Cluster, id: &str, text: impl Into<String>) -> JoinHandle<Outcome> {
    let begun = Stopwatch::start();
    let receipt = cluster.emit(id, text.into());
    tokio::spawn(async move { (receipt.await, begun.elapsed()) })
}

impl NumberedMessages {
    pub(super) fn start(from: &Cluster, id: &'static str) -> Self {
        let (stop, from) = (Arc::new(AtomicBool::new(false)), from.clone());
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut waiting = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                waiting.push(timed(&from, id, waiting.len().to_string()));
                sleep(Duration::from_millis(1)).await;
            }
            let mut outcomes = Vec::new();
            for receipt in waiting {
                outcomes.push(receipt.await.unwrap());
            }
            outcomes
        });
        Self { stop, task }
    }

    /// Stops, and checks what holds under every fault: receipts are decided in time; no client is
    /// reported offline; what was delivered was received, what was not sent was not, all in order
    /// and once. Returns the number of messages by outcome.
    pub(super) async fn verify(self, reader: &Reader) -> Vec<(Delivery, usize)> {
        self.stop.store(true, Ordering::Release);
        let outcomes = self.task.await.unwrap();
        let slowest = outcomes.iter().map(|(_, took)| *took).max().unwrap();
        assert!(slowest <= DECIDED_WITHIN, "decided after {slowest:?}");
        let all_with = |delivery| {
            let outcomes = outcomes.iter().enumerate();
            outcomes
                .filter(move |(_, (it, _))| *it == delivery)
                .map(|(n, _)| n)
        };
        let delivered: HashSet<_> = all_with(Delivery::Delivered).collect();
        let came = || -> HashSet<usize> { reader.numbers().into_iter().collect() };
        eventually(|| delivered.is_subset(&came())).await;
        let numbers = reader.numbers();
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "in order, and once: {numbers:?}"
        );
        let came = came();
        for unsent in [Delivery::Unreachable, Delivery::QueueFull] {
            let wrong: Vec<_> = all_with(unsent).filter(|n| came.contains(n)).collect();
            assert!(wrong.is_empty(), "{unsent}, and came: {wrong:?}");
        }
        for never in [Delivery::Offline, Delivery::Refused] {
            assert_eq!(all_with(never).count(), 0, "{never}");
        }
        let kinds = [
            Delivery::Delivered,
            Delivery::Unreachable,
            Delivery::Unknown,
            Delivery::QueueFull,
        ];
        kinds.map(|kind| (kind, all_with(kind).count())).to_vec()
    }
}
