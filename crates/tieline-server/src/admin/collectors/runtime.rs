//! The workers and tasks of tokio, as far as its stable interface has them.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tokio::runtime::Handle;

use super::page::{Metric, Page};

#[derive(Debug)]
pub(in crate::admin) struct RuntimeCollector(pub(in crate::admin) Handle);

impl Collector for RuntimeCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        const WORKERS: Metric =
            Metric::count("tieline_runtime_workers", "Worker threads of the runtime");
        const TASKS: Metric = Metric::count("tieline_runtime_tasks", "Tasks that have not ended");
        const QUEUED: Metric = Metric::count(
            "tieline_runtime_global_queue_tasks",
            "Tasks that are ready and wait in the global queue for a worker",
        );
        const BUSY: Metric = Metric::seconds(
            "tieline_runtime_worker_busy",
            "Time for which a worker thread was busy",
        );
        const PARKS: Metric = Metric::count(
            "tieline_runtime_worker_parks",
            "Times that a worker thread had nothing to do",
        );
        let (page, metrics) = (&mut Page(encoder), self.0.metrics());
        let workers = 0..metrics.num_workers();
        page.gauge(WORKERS, &metrics.num_workers())?;
        page.gauge(TASKS, &metrics.num_alive_tasks())?;
        page.gauge(QUEUED, &metrics.global_queue_depth())?;
        let busy = |worker| {
            let busy = metrics.worker_total_busy_duration(worker);
            ([("worker", worker)], busy.as_secs_f64())
        };
        page.counters(BUSY, workers.clone().map(busy))?;
        let parks = |worker| ([("worker", worker)], metrics.worker_park_count(worker));
        page.counters(PARKS, workers.map(parks))
    }
}
