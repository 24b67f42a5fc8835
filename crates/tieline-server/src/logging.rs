//! Where log lines and spans go: standard error, and a collector.
//!
//! Owns the subscriber of the process. Must not know who writes lines or opens spans.

use std::io::IsTerminal;

use anyhow::Context;
use tokio::runtime::Runtime;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt,
    layer::{Filter, Identity, Layered, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

#[cfg(feature = "otlp")]
use crate::traces;
use crate::{
    config::sections::{log::LogFormat, traces::TracesSettings},
    supervisor::reload::SetLog,
};

/// What gets spans, beside the log.
pub(crate) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What lines are written beside.
type Spans = Layered<SpanLayer, Registry>;

/// Starts the export of traces, if there is a collector. It ends when the second value is dropped.
#[cfg(feature = "otlp")]
pub(crate) fn start_traces(
    settings: &TracesSettings,
    runtime: &Runtime,
) -> anyhow::Result<(Option<SpanLayer>, Option<traces::otlp::Export>)> {
    let Some(collector) = &settings.endpoint else {
        return Ok((None, None));
    };
    let _context = runtime.enter();
    let (layer, export) = traces::otlp::start(traces::otlp::ExportSettings {
        endpoint: collector.url(),
        sample_ratio: settings.sample_ratio.0,
    })?;
    Ok((Some(layer.boxed()), Some(export)))
}

/// Without the feature, the configuration has no collector.
#[cfg(not(feature = "otlp"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature, it may fail")]
pub(crate) fn start_traces(
    _: &TracesSettings,
    _: &Runtime,
) -> anyhow::Result<(Option<SpanLayer>, ())> {
    Ok((None, ()))
}

/// Logs to standard error, and hands spans to `traces`. Returns what replaces the levels.
pub(crate) fn start_log(format: LogFormat, level: EnvFilter, traces: Option<SpanLayer>) -> SetLog {
    let (level, handle) = reload::Layer::new(level);
    subscriber(format, level, traces).init();
    Box::new(move |level| handle.reload(level).context("the log is gone"))
}

fn subscriber(
    format: LogFormat,
    level: impl Filter<Spans> + Send + Sync + 'static,
    traces: Option<SpanLayer>,
) -> impl Subscriber + Send + Sync {
    // Not `None`, as which tracing-subscriber takes the span for one that somebody wants, and makes it.
    let nobody = || Identity::new().with_filter(LevelFilter::OFF).boxed();
    let spans = tracing_subscriber::registry().with(traces.unwrap_or_else(nobody));
    // Lines have fields of their own, and no spans around them: the fields of a line do not depend on whether
    // traces are on.
    let level = level.and(filter_fn(is_no_span));
    let lines = fmt::layer().with_writer(std::io::stderr);
    spans.with(match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            lines.with_filter(level).boxed()
        }
        LogFormat::Json => lines.json().with_filter(level).boxed(),
    })
}

/// It may also be the question whether a line would be written, which is no event.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::traces::spans;

    #[test]
    fn without_a_collector_spans_cost_nothing() {
        let span = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            spans::backend_request(("webpubsub", "hub_exists"), "chat", &HeaderMap::new())
        });
        let callsite = span.metadata().expect("somebody wants the span");
        for format in [LogFormat::Text, LogFormat::Json] {
            let subscriber = subscriber(format, EnvFilter::new("trace"), None);
            assert!(subscriber.register_callsite(callsite).is_never());
        }
    }
}
