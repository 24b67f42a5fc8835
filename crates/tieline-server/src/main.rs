//! The Tieline server.
//!
//! `tieline demo` shows it in a browser, `tieline serve` is for production. This file reads the command
//! line, starts the log and turns outcomes into exit codes; `run` does the work.

mod cli;
mod demo;
mod page;
mod run;
mod webpubsub;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tracing_subscriber::{EnvFilter, fmt};

use self::cli::{Cli, Command, Log, LogFormat};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command line cannot be meant: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tieline: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(options) => {
            // Its two nodes end together, which each would warn of.
            start_log(&options.common.log, "warn,tieline::link=error")?;
            run::demo(options).await
        }
        Command::Serve(options) => {
            start_log(&options.common.log, "info")?;
            run::serve(options).await
        }
    }
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
