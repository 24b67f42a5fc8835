//! The export of spans to a collector, over OTLP with gRPC.
//!
//! Owns the sampling, the queue and its bounds, and the log of what fails. Must not know which spans there are.
//! Invariants: a span that finds the queue full is dropped, so that nothing waits for a collector; the end of the
//! process waits for it for [`FLUSH_TIMEOUT`] at most.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{
    SpanExporter, WithExportConfig, WithTonicConfig, tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{self, BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData},
};
use parking_lot::Mutex;
use tokio::{runtime::Handle, time::Instant};
use tracing::Metadata;
use tracing_subscriber::{Layer, Registry, filter::filter_fn};
use uuid::Uuid;

use super::spans::TARGET;

/// Most spans that wait: some 2 MB of them.
const MAX_WAITING: usize = 4096;

/// Most spans of one request to the collector.
const MAX_BATCH: usize = 512;

/// How long a span waits for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);

/// How long a request to the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of the process waits for the spans that are left.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The shortest time between two lines about requests that failed.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Where spans go, and how many of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportSettings<'a> {
    /// The URL of the collector, without a path.
    pub(crate) endpoint: &'a str,
    /// The share of traces that begin here. Of others, whoever began them has decided.
    pub(crate) sample_ratio: f64,
}

/// Sends the spans that are left when it is dropped.
pub(crate) struct Export(SdkTracerProvider);

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Starts the export. Returns what hands it the spans. Must be called within a runtime.
pub(crate) fn start(
    settings: ExportSettings<'_>,
) -> anyhow::Result<(impl Layer<Registry> + Send + Sync, Export)> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(settings.endpoint)
        .with_timeout(TIMEOUT);
    let exporter = if settings.endpoint.starts_with("https") {
        exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
    } else {
        exporter
    };
    let exporter = Reporting {
        exporter: Arc::new(exporter.build().context("cannot export traces")?),
        runtime: Handle::current(),
        logged: Mutex::default(),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_WAITING)
        .with_max_export_batch_size(MAX_BATCH)
        .with_scheduled_delay(DELAY);
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build());
    let sampler = Sampler::TraceIdRatioBased(settings.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor.build())
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .with_resource(resource())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tieline"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported));
    Ok((layer, Export(provider)))
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET
}

/// Who sends the spans. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` change it.
fn resource() -> Resource {
    let own = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", "tieline"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
    ]);
    let environment = opentelemetry_sdk::resource::EnvResourceDetector::new();
    own.with_detector(Box::new(environment)).build()
}

/// An exporter that says when it fails.
#[derive(Debug)]
struct Reporting {
    exporter: Arc<SpanExporter>,
    /// The exporter's calls need one, and the thread of batches has none.
    runtime: Handle,
    /// When a failure was last logged.
    logged: Mutex<Option<Instant>>,
}

impl trace::SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (exporter, spans) = (Arc::clone(&self.exporter), batch.len());
        let sent = self
            .runtime
            .spawn(async move { exporter.export(batch).await });
        let sent = sent.await;
        let result =
            sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        if let Err(error) = &result {
            let mut logged = self.logged.lock();
            if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
                *logged = Some(Instant::now());
                tracing::warn!(%error, spans, "traces were not sent");
            }
        }
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            trace::SpanExporter::set_resource(exporter, resource);
        }
    }
}
