//! The connections and messages of the node.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tieline::{Hub, HubStats};

use super::page::{Metric, Page, Written};

pub(in crate::admin) struct HubCollector(pub(in crate::admin) Hub);

impl Collector for HubCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (page, stats) = (&mut Page(encoder), self.0.stats());
        connections(page, &stats)?;
        messages(page, &stats)?;
        queues(page, &stats)?;
        outboxes(page, &stats, self.0.largest_outbox())
    }
}

fn connections(page: &mut Page<'_>, stats: &HubStats) -> Written {
    const OPEN: Metric = Metric::count(
        "tieline_connections",
        "Connections that were accepted and have not ended",
    );
    const LIMIT: Metric = Metric::count(
        "tieline_connections_limit",
        "The bound of tieline_connections",
    );
    const OPENED: Metric = Metric::count(
        "tieline_connections_opened",
        "Connections whose upgrade was completed",
    );
    const ENDED: Metric = Metric::count(
        "tieline_connections_ended",
        "Connections that have ended, by reason",
    );
    let ends = &stats.ended;
    let ended = [
        ("client", ends.client),
        ("application", ends.application),
        ("replaced", ends.replaced),
        ("drain", ends.drain),
        ("slow_consumer", ends.slow_consumer),
        ("silent", ends.silent),
        ("unfinished", ends.unfinished),
        ("too_fast", ends.too_fast),
        ("protocol", ends.protocol),
        ("panic", ends.panic),
        ("lost", ends.lost),
    ];
    page.gauge(OPEN, &stats.connections)?;
    page.gauge(LIMIT, &stats.max_connections)?;
    page.counter(OPENED, &stats.opened)?;
    page.counters(
        ENDED,
        ended.map(|(reason, count)| ([("reason", reason)], count)),
    )
}

fn messages(page: &mut Page<'_>, stats: &HubStats) -> Written {
    const MESSAGES_IN: Metric = Metric::count(
        "tieline_messages_received",
        "Complete messages from clients",
    );
    const BYTES_IN: Metric =
        Metric::bytes("tieline_received", "Bytes from clients, frames included");
    const FRAMES_OUT: Metric = Metric::count(
        "tieline_frames_sent",
        "Frames that have left for clients, control frames included",
    );
    const BYTES_OUT: Metric = Metric::bytes(
        "tieline_sent",
        "Bytes that have left for clients, frames included",
    );
    const DELIVERIES: Metric = Metric::count(
        "tieline_deliveries",
        "What became of messages, for each connection that they were for",
    );
    let (traffic, reached) = (&stats.traffic, &stats.deliveries);
    page.counter(MESSAGES_IN, &traffic.messages_in)?;
    page.counter(BYTES_IN, &traffic.bytes_in)?;
    page.counter(FRAMES_OUT, &traffic.frames_out)?;
    page.counter(BYTES_OUT, &traffic.bytes_out)?;
    let deliveries = [
        ("delivered", reached.delivered),
        ("offline", reached.offline),
        ("refused", reached.refused),
        ("queue_full", reached.queue_full),
    ];
    let outcome = |(outcome, count)| ([("outcome", outcome)], count);
    page.counters(DELIVERIES, deliveries.map(outcome))
}

fn queues(page: &mut Page<'_>, stats: &HubStats) -> Written {
    const QUEUED: Metric = Metric::count(
        "tieline_broadcast_queue_messages",
        "Messages that wait in the queues of the shards",
    );
    const QUEUED_BYTES: Metric = Metric::bytes(
        "tieline_broadcast_queue",
        "Bytes of messages that wait in the queues of the shards",
    );
    const AGE: Metric = Metric::seconds(
        "tieline_broadcast_queue_age",
        "How long the oldest message of the queues of the shards has waited",
    );
    const TIMES: Metric = Metric::seconds(
        "tieline_broadcast_duration",
        "How long messages that were queued took until their receivers had them",
    );
    page.gauge(QUEUED, &stats.queued)?;
    page.gauge(QUEUED_BYTES, &stats.queued_bytes)?;
    page.gauge(AGE, &stats.queue_age.as_secs_f64())?;
    page.histogram(TIMES, &stats.queue_times)
}

fn outboxes(page: &mut Page<'_>, stats: &HubStats, largest: usize) -> Written {
    const OUTBOXES: Metric = Metric::bytes(
        "tieline_outboxes",
        "Bytes that wait for clients whose sockets did not take them",
    );
    const MAX_OUTBOXES: Metric = Metric::bytes(
        "tieline_outboxes_limit",
        "The bound of tieline_outboxes_bytes",
    );
    const LARGEST: Metric = Metric::bytes(
        "tieline_outbox_largest",
        "Bytes that wait for the client for whom most waits",
    );
    const SLOW: Metric = Metric::count(
        "tieline_slow_consumers",
        "Clients that were closed because they read too slowly",
    );
    page.gauge(OUTBOXES, &stats.waiting_bytes)?;
    page.gauge(MAX_OUTBOXES, &stats.max_waiting_bytes)?;
    page.gauge(LARGEST, &largest)?;
    let slow = [
        ([("cause", "outbox")], stats.slow_consumers),
        ([("cause", "node")], stats.shed),
    ];
    page.counters(SLOW, slow)
}

impl fmt::Debug for HubCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubCollector")
    }
}
