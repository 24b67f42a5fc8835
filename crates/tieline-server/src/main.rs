//! The Tieline server: `tieline demo`, `tieline serve` and the commands around them.
//!
//! This file parses the command line, starts logging and the runtime, and turns errors into exit codes.
//! `cli` turns file, environment and flags into settings, and `supervisor` runs nodes with them.

mod admin;
mod app;
mod bench;
mod cli;
mod config;
mod demo;
mod http_client;
mod memory;
mod metrics;
mod supervisor;
mod traces;
mod web_page;
mod webhook;
mod wire;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tokio::runtime::Runtime;
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use self::{
    cli::{
        command::{Cli, Command},
        demo::Demo,
        error::is_usage_error,
        key,
    },
    config::sections::{log::LogFormat, traces::TracesSettings},
    supervisor::reload::SetLog,
};

/// What the demo logs, unless told otherwise. Both nodes end at the same time, and each link would warn that
/// its peer is gone.
const DEMO_LEVEL: &str = "warn,tieline::link=error";

/// Exit code of an invalid command line or configuration, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tieline: {error:#}");
            if is_usage_error(&error) {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(demo) => {
            let checked = demo.check()?;
            let (log, is_level_set) = checked.log();
            let level = if is_level_set {
                log.level.filter()
            } else {
                EnvFilter::new(DEMO_LEVEL)
            };
            let _set_log = start_log(log.format, level, None);
            runtime()?.block_on(Demo::run(checked))
        }
        Command::Serve(serve) => {
            let checked = serve.check()?;
            let log = &checked.settings.log;
            let runtime = runtime()?;
            let (traces, _export) = start_traces(&checked.settings.traces, &runtime)?;
            let set_log = start_log(log.format, log.level.filter(), traces);
            runtime.block_on(serve.run(checked, set_log))
        }
        Command::Config(config) => config.run(),
        Command::Key => key::run(),
        Command::Token(token) => token.run(),
        // Without a runtime: it blocks, and leaves the machine to the load.
        Command::Health(health) => health.run(),
        Command::Top(top) => top.run(),
        Command::Drain(drain) => drain.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Bench(bench) => bench.run(&bench::registry, &bench::http_floor),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    memory::refuse_huge_pages();
    let runtime = Runtime::new()?;
    runtime.spawn(memory::give_back());
    Ok(runtime)
}

/// What gets spans, beside the log.
type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts the export of traces, if there is a collector. It ends when the second value is dropped.
#[cfg(feature = "otlp")]
fn start_traces(
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
fn start_traces(_: &TracesSettings, _: &Runtime) -> anyhow::Result<(Option<SpanLayer>, ())> {
    Ok((None, ()))
}

/// Logs to standard error, and hands spans to `traces`. Returns what replaces the levels.
fn start_log(format: LogFormat, level: EnvFilter, traces: Option<SpanLayer>) -> SetLog {
    let (level, handle) = reload::Layer::new(level);
    // Lines have fields of their own, and no spans around them: the fields of a line do not depend on whether
    // traces are on.
    let level = level.and(filter_fn(is_no_span));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(traces);
    match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            registry.with(lines.with_filter(level)).init();
        }
        LogFormat::Json => registry.with(lines.json().with_filter(level)).init(),
    }
    Box::new(move |level| handle.reload(level).context("the log is gone"))
}

/// It may also be the question whether a line would be written, which is no event.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}
