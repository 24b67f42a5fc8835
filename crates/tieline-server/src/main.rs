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
use tracing_subscriber::EnvFilter;

use self::{
    cli::{
        command::{Cli, Command},
        demo::Demo,
        error::is_usage_error,
        key,
    },
    logging::{start_log, start_traces},
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
        Command::Trace(trace) => trace.run(),
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
