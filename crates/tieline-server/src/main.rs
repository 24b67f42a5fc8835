//! The Tieline server: `tieline demo`, `tieline serve` and the commands around them.
//!
//! This file parses the command line, starts the runtime, and turns errors into exit codes.
//! `cli` turns file, environment and flags into settings, and `supervisor` runs nodes with them.

mod admin;
mod app;
mod bench;
mod cli;
mod config;
mod demo;
mod http_client;
mod logging;
mod memory;
mod metrics;
mod supervisor;
mod traces;
mod web_page;
mod webhook;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::runtime::Runtime;

use self::{
    cli::{
        command::{Cli, Command},
        error::is_usage_error,
        key,
    },
    supervisor::signals::Signals,
};

/// Exit code of an invalid command line or configuration, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match run() {
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

fn run() -> anyhow::Result<()> {
    // Before the command line is parsed, which takes longer than everything else until the configuration is read.
    let is_server = std::env::args_os()
        .nth(1)
        .is_some_and(|name| name == "serve");
    let server = is_server.then(keep_signals).transpose()?;
    match Cli::parse().command {
        Command::Demo(demo) => demo.run(&runtime()?),
        Command::Serve(serve) => {
            let (runtime, signals) = server.map_or_else(keep_signals, Ok)?;
            serve.run(&runtime, signals)
        }
        Command::Config(config) => config.run(),
        Command::Key => key::run(),
        Command::Token(token) => token.run(),
        // Without a runtime: it blocks, and leaves the machine to the load.
        Command::Health(health) => health.run(),
        Command::Top(top) => top.run(),
        Command::Trace(trace) => trace.run(),
        Command::Drain(drain) => drain.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Bench(bench) => bench.run(&bench::registry, &bench::http_floor),
    }
}

/// A runtime, and the signals from now on.
fn keep_signals() -> std::io::Result<(Runtime, Signals)> {
    let runtime = runtime()?;
    let signals = {
        let _context = runtime.enter();
        Signals::keep()?
    };
    Ok((runtime, signals))
}

fn runtime() -> std::io::Result<Runtime> {
    memory::refuse_huge_pages();
    let runtime = Runtime::new()?;
    runtime.spawn(memory::give_back());
    Ok(runtime)
}
