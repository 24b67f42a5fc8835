//! What the limits of clients did.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::page::{Metric, Page};
use crate::app::limits::Quotas;

#[derive(Debug)]
pub(in crate::admin) struct LimitsCollector(pub(in crate::admin) Arc<Quotas>);

impl Collector for LimitsCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        const EXCEEDED: Metric = Metric::count(
            "tieline_limits_exceeded",
            "Times that clients went beyond a limit, by what happened then",
        );
        let counts = self.0.counts.all().map(|(scope, limited, action, count)| {
            let labels = [
                ("scope", scope.name()),
                ("limit", limited.name()),
                ("action", action.name()),
            ];
            (labels, count)
        });
        Page(encoder).counters(EXCEEDED, counts)
    }
}
