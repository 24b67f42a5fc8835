//! The command line of the load generator. Doc comments are the texts of `--help`.
//!
//! Owns the meaning of flags, their combinations and the exit code. Must not know how a load runs.

#![allow(clippy::doc_markdown, reason = "help texts appear in a terminal")]

mod args;
mod load_spec;
mod parse;

use std::{ffi::OsString, net::SocketAddr};

use clap::{Args, Subcommand};

use self::{
    args::{CompareArgs, LoadCommand, OutputArgs},
    load_spec::LoadSpec,
    parse::Rate,
};
pub use crate::usage::Usage;
use crate::{
    affinity::CpuList,
    compare::{self, Comparison, ComparisonSpec},
    floor,
    outcome::Outcome,
    plan::Scenario,
    progress_bar::ProgressBar,
    registry::MeasureRegistry,
    report::{self, OutputFiles, Results},
    target::launch,
    trial, workers,
};

/// Measure WebSocket servers.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct BenchCommand {
    #[command(subcommand)]
    what: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Load(LoadCommand),
    /// Run the baseline server, which has no application
    ///
    /// One thread, no limits, no checks: use it for measurements only. /echo echoes every message;
    /// at /ws?id=X, a message B… goes to all clients, T:ID:PAYLOAD to the client ID, and G:GROUP:PAYLOAD
    /// to a group, which J:GROUP joins and L:GROUP leaves.
    Floor {
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9200",
            value_parser = parse::address)]
        listen: SocketAddr,
    },
    /// Run the baseline server of rest: an axum handler that reads the body and answers 202
    ///
    /// One thread, no limits, no checks: use it for measurements only. Every path accepts POST.
    HttpFloor {
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9200",
            value_parser = parse::address)]
        listen: SocketAddr,
    },
    /// Compare a server with a baseline
    ///
    /// Measures both in turn and reports the ratios. The baseline is the server of `tieline bench
    /// floor` (for rest, of `tieline bench http-floor`), with the load in its own message format, or any server with --base-url: another version
    /// of the server, or one node instead of two. Started servers are restarted for each run. Pairs with
    /// faults are marked and do not count.
    Compare {
        #[command(flatten)]
        args: CompareArgs,
        #[command(subcommand)]
        load: LoadCommand,
    },
    /// Run as a worker process of a load
    #[command(hide = true)]
    Worker,
    /// Run a command with its CPU and limits set
    #[command(hide = true)]
    Launch {
        #[arg(long)]
        cpu: Option<CpuList>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

impl BenchCommand {
    /// Runs the command; `registry` measures a registry, and `http_floor` runs the baseline of requests, for which
    /// this crate has no HTTP server. Blocks until it is done, so do not call it on a thread of an async runtime.
    pub fn run(
        self,
        registry: &MeasureRegistry<'_>,
        http_floor: &dyn Fn(SocketAddr) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self.what {
            Command::Load(load) => measure(load, registry),
            Command::Compare { args, load } => compare(load, &args),
            Command::Floor { listen } => floor::floor(listen),
            Command::HttpFloor { listen } => http_floor(listen),
            Command::Worker => workers::worker(),
            Command::Launch { cpu, command } => launch::execute(&command, cpu.as_ref()),
        }
    }
}

fn measure(load: LoadCommand, registry: &MeasureRegistry<'_>) -> anyhow::Result<()> {
    let (spec, output) = match load.registry()? {
        Some((plan, output)) => {
            let files = open(output)?;
            let bar = ProgressBar::new(output.quiet, "");
            let outcome = registry(&plan, &bar)?;
            drop(bar);
            return report::write(&Results::Registry(plan, Box::new(outcome)), files);
        }
        None => LoadSpec::new(load)?,
    };
    if spec.rate == Some(Rate::Half) {
        let why = "--rate half compares two servers; use it with compare";
        return Err(Usage(why.into()).into());
    }
    let plan = spec.plan()?;
    let files = open(&output)?;
    let outcome = trial::measure(&spec.target, &plan, &ProgressBar::new(output.quiet, ""))?;
    let checked = check_arrivals(&outcome);
    report::write(&Results::Measurement(Box::new(outcome)), files)?;
    checked
}

fn compare(load: LoadCommand, args: &CompareArgs) -> anyhow::Result<()> {
    if load.registry()?.is_some() {
        let why = "compare measures servers; run storm --registry without it";
        return Err(Usage(why.into()).into());
    }
    let (spec, output) = LoadSpec::new(load)?;
    let min_ratio = args.min_ratio;
    if min_ratio.is_some() && spec.scenario == Scenario::Idle {
        let why = "--min-ratio compares rates, and idle connections have none";
        return Err(Usage(why.into()).into());
    }
    let plan = spec.plan()?;
    let comparison_spec = ComparisonSpec {
        base: args.base(&spec, &plan)?,
        plan,
        server: spec.target.clone(),
        runs: args.runs,
        half_rate: spec.rate == Some(Rate::Half),
    };
    let files = open(&output)?;
    let comparison = compare::run(&comparison_spec, output.quiet)?;
    let checked = check_ratio(&comparison, min_ratio);
    report::write(&Results::Comparison(comparison), files)?;
    checked
}

/// Opens the output files before time is spent on a measurement.
fn open(output: &OutputArgs) -> Result<OutputFiles, Usage> {
    OutputFiles::open(output.json.as_deref(), output.html.as_deref())
}

/// Fails if the figures mean nothing.
fn check_arrivals(outcome: &Outcome) -> anyhow::Result<()> {
    let scenario = outcome.plan.scenario;
    // Churn and storm open more connections than the initial ones, so each of those may end.
    let stays = !matches!(scenario, Scenario::Churn | Scenario::Storm);
    if stays && outcome.faults.ended >= outcome.opening.connections as u64 {
        anyhow::bail!("every connection ended early");
    }
    anyhow::ensure!(
        scenario == Scenario::Idle || outcome.arrived > 0,
        "nothing arrived within the measurement time"
    );
    let broadcast = outcome.broadcast.as_ref();
    anyhow::ensure!(
        broadcast.is_none_or(|flow| flow.arrived > 0),
        "no broadcast arrived within the measurement time"
    );
    Ok(())
}

/// Fails if the server is slower than required.
fn check_ratio(comparison: &Comparison, min_ratio: Option<f64>) -> anyhow::Result<()> {
    let rate = comparison.ratios().per_second.map(|spread| spread.median);
    match (rate, min_ratio) {
        (Some(rate), Some(min_ratio)) if rate < min_ratio => {
            anyhow::bail!(
                "the median ratio of messages per second is {rate:.3}, below --min-ratio {min_ratio}"
            )
        }
        (None, Some(_)) => {
            anyhow::bail!("no messages arrived, so there is no ratio for --min-ratio")
        }
        _ => Ok(()),
    }
}
