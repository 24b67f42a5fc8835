//! The Tieline server.
//!
//! `tieline demo` shows it in a browser, `tieline serve` is for production, `tieline bench` measures.
//! This file reads the command line, starts the log and turns outcomes into exit codes; `run` and the
//! load program do the work.

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

use self::cli::{Cli, Command, Log, LogFormat};

/// The command line cannot be meant: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tieline: {error:#}");
            let usage = error.is::<Usage>() || error.is::<tieline_bench::cli::Usage>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(options) => {
            // Its two nodes end together, which each would warn of.
            start_log(&options.common.log, "warn,tieline::link=error")?;
            runtime()?.block_on(supervisor::demo(options))
        }
        Command::Serve(options) => {
            start_log(&options.common.log, "info")?;
            runtime()?.block_on(supervisor::serve(options))
        }
        // It blocks, and the load is to have the machine to itself: no runtime.
        Command::Bench(bench) => bench.run(&bench::registry),
    }
}

/// What a node runs on.
fn runtime() -> std::io::Result<Runtime> {
    memory::refuse_huge_pages();
    let runtime = Runtime::new()?;
    runtime.spawn(memory::give_back());
    Ok(runtime)
}

fn start_log(log: &Log, level: &str) -> Result<(), Usage> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let wanted = if wanted.is_empty() { level } else { &wanted };
    let filter = EnvFilter::try_new(wanted)
        .map_err(|error| Usage(format!("cannot read RUST_LOG={wanted}: {error}")))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
