//! How a collector writes metrics.
//!
//! Owns the form of counters, gauges and histograms that are read from elsewhere. Must not know any.

use std::{fmt::Error, time::Duration};

use prometheus_client::{
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
        NoLabelSet,
    },
    metrics::MetricType,
    registry::Unit,
};
use tieline::Times;

pub(super) type Written = Result<(), Error>;

/// What a metric is: its name without the unit, and its sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<&'static Unit>,
}

impl Metric {
    pub(super) const fn count(name: &'static str, help: &'static str) -> Self {
        let unit = None;
        Self { name, help, unit }
    }

    pub(super) const fn bytes(name: &'static str, help: &'static str) -> Self {
        let unit = Some(&Unit::Bytes);
        Self { name, help, unit }
    }

    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        let unit = Some(&Unit::Seconds);
        Self { name, help, unit }
    }
}

/// The page, while a collector writes.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    fn describe(&mut self, metric: Metric, kind: MetricType) -> Result<MetricEncoder<'_>, Error> {
        let Metric { name, help, unit } = metric;
        self.0.encode_descriptor(name, help, unit, kind)
    }

    pub(super) fn counter(&mut self, metric: Metric, value: &impl EncodeCounterValue) -> Written {
        self.describe(metric, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(value, None)
    }

    pub(super) fn gauge(&mut self, metric: Metric, value: &impl EncodeGaugeValue) -> Written {
        self.describe(metric, MetricType::Gauge)?
            .encode_gauge(value)
    }

    /// A histogram of the library's.
    pub(super) fn histogram(&mut self, metric: Metric, times: &Times) -> Written {
        let bounds = Times::BOUNDS.iter().map(Duration::as_secs_f64);
        let bounds = bounds.chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(times.counts).collect();
        let (sum, count) = (times.sum.as_secs_f64(), times.total());
        self.describe(metric, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    /// A counter for each set of labels.
    pub(super) fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        metric: Metric,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> Written {
        let mut family = self.describe(metric, MetricType::Counter)?;
        for (labels, value) in values {
            let mut counter = family.encode_family(&labels)?;
            counter.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A gauge for each set of labels.
    pub(super) fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        metric: Metric,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> Written {
        let mut family = self.describe(metric, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
