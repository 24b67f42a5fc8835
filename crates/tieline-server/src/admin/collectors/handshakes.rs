//! The handshakes that have failed at the listeners of clients.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::page::{Metric, Page};
use crate::app::handshakes::ListenerFailures;

#[derive(Debug)]
pub(in crate::admin) struct HandshakeCollector(pub(in crate::admin) Vec<ListenerFailures>);

impl Collector for HandshakeCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        const FAILED: Metric = Metric::count(
            "tieline_handshakes_failed",
            "Connections of clients that ended before the listener had a request, by reason",
        );
        let counts = self.0.iter().flat_map(|listener| {
            let counts = listener.failures.counts();
            counts.map(|(failure, count)| {
                let labels = [
                    ("listener", &*listener.listener),
                    ("reason", failure.name()),
                ];
                (labels, count)
            })
        });
        Page(encoder).counters(FAILED, counts)
    }
}
