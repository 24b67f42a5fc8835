//! The Tieline server: `tieline demo`, `tieline serve` and `tieline bench`.
//!
//! This file parses the command line, starts logging and the runtime, and turns errors into exit codes.
//! `cli` turns flags into settings, and `supervisor` runs nodes with them.

mod app;
mod bench;
mod cli;
mod demo;
mod memory;
mod supervisor;
mod wire;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tokio::runtime::Runtime;
use tracing_subscriber::{EnvFilter, fmt};

use self::cli::{
    command::{Cli, Command},
    common::{Log, LogFormat},
    error::{UsageError, is_usage_error},
};

/// Exit code of an invalid command line, as clap has it.
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
            // Both nodes end at the same time, and each link would warn that its peer is gone.
            start_log(&demo.common.log, "warn,tieline::link=error")?;
            runtime()?.block_on(demo.run())
        }
        Command::Serve(serve) => {
            start_log(&serve.common.log, "info")?;
            runtime()?.block_on(serve.run())
        }
        // Without a runtime: it blocks, and leaves the machine to the load.
        Command::Bench(bench) => bench.run(&bench::registry, &bench::http_floor),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    memory::refuse_huge_pages();
    let runtime = Runtime::new()?;
    runtime.spawn(memory::give_back());
    Ok(runtime)
}

/// Logs to standard error at the level of `RUST_LOG`, or else at `default_level`.
fn start_log(log: &Log, default_level: &str) -> Result<(), UsageError> {
    let rust_log = std::env::var("RUST_LOG").unwrap_or_default();
    let level = if rust_log.is_empty() {
        default_level
    } else {
        &rust_log
    };
    let filter = EnvFilter::try_new(level)
        .map_err(|error| UsageError(format!("invalid RUST_LOG {level:?}: {error}")))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
