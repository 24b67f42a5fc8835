//! The command line of the load program. Its doc comments are the texts of `--help`.
//!
//! Owns what flags mean and which go together; `compare` and the engine do the work.

#![allow(clippy::doc_markdown, reason = "the texts are read in a terminal")]

mod args;
mod load_spec;
mod parse;

use std::{ffi::OsString, net::SocketAddr};

use clap::{Args, Subcommand};

use self::{
    args::{Comparing, Load, Output},
    load_spec::Intent,
    parse::Rate,
};
pub use crate::usage::Usage;
use crate::{
    compare::{self, Comparison, ComparisonSpec},
    floor,
    outcome::Outcome,
    plan::Scenario,
    progress_bar::Bar,
    registry::Registry,
    report::{self, OutputFiles, Results},
    target::launch,
    trial, workers,
};

/// Measures WebSocket servers.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Load(Load),
    /// Run the bare server: what this machine can do with no application at all
    ///
    /// One thread, no limits, no checks: never a server for anything else. /echo sends every message
    /// back; at /ws?id=X a text B… goes to all, and T:ID:PAYLOAD to the client ID.
    Floor {
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9200",
            value_parser = parse::address)]
        listen: SocketAddr,
    },
    /// Measure a server and a base in turn, and tell the ratio
    ///
    /// The base is the bare server of `tieline bench floor`, which gets the load in words of its own,
    /// or with --base-url any other: another version of the server, or one node for two. Both are
    /// started afresh for each run. Pairs in which something went wrong are marked and do not count.
    Compare {
        #[command(flatten)]
        comparing: Comparing,
        #[command(subcommand)]
        load: Load,
    },
    /// A process of the load
    #[command(hide = true)]
    Worker,
    /// A process of the server, before it is that
    #[command(hide = true)]
    Launch {
        #[arg(long)]
        cpu: Option<usize>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

impl Bench {
    /// Does what the command line asks for. Blocks until it is done; a runtime's thread is no place
    /// for it.
    pub fn run(self, registry: &Registry<'_>) -> anyhow::Result<()> {
        match self.what {
            What::Load(load) => measure(load, registry),
            What::Compare { comparing, load } => compare(load, &comparing),
            What::Floor { listen } => floor::floor(listen),
            What::Worker => workers::worker(),
            What::Launch { cpu, command } => launch::become_program(&command, cpu),
        }
    }
}

fn measure(load: Load, registry: &Registry<'_>) -> anyhow::Result<()> {
    let (intent, output) = match load.registry()? {
        Some((plan, output)) => {
            let files = open(output)?;
            let bar = Bar::new(output.quiet, "");
            let outcome = registry(&plan, &bar)?;
            drop(bar);
            return report::write(&Results::Registry(plan, outcome), files);
        }
        None => Intent::new(load)?,
    };
    if intent.rate == Some(Rate::Half) {
        let why = "--rate half is half of what two servers reach: it is a flag of compare";
        return Err(Usage(why.into()).into());
    }
    let plan = intent.plan()?;
    let files = open(&output)?;
    let outcome = trial::measure(&intent.target, &plan, &Bar::new(output.quiet, ""))?;
    let verdict = tells_something(&outcome);
    report::write(&Results::Measurement(outcome), files)?;
    verdict
}

fn compare(load: Load, comparing: &Comparing) -> anyhow::Result<()> {
    if load.registry()?.is_some() {
        let why = "compare measures servers; storm --registry stands alone";
        return Err(Usage(why.into()).into());
    }
    let (intent, output) = Intent::new(load)?;
    let least = comparing.least;
    if least.is_some() && intent.scenario == Scenario::Idle {
        let why = "--least is about a rate, and idle connections have none";
        return Err(Usage(why.into()).into());
    }
    let sides = ComparisonSpec {
        plan: intent.plan()?,
        server: intent.target.clone(),
        base: comparing.base(&intent)?,
        runs: comparing.runs,
        half_rate: intent.rate == Some(Rate::Half),
    };
    let files = open(&output)?;
    let comparison = compare::run(&sides, output.quiet)?;
    let verdict = judge(&comparison, least);
    report::write(&Results::Comparison(comparison), files)?;
    verdict
}

/// Opens the output files before time is spent on a measurement.
fn open(output: &Output) -> Result<OutputFiles, Usage> {
    OutputFiles::open(output.json.as_deref(), output.html.as_deref())
}

/// Whether figures mean anything.
fn tells_something(outcome: &Outcome) -> anyhow::Result<()> {
    let scenario = outcome.plan.scenario;
    // A churn opens more connections than those of the beginning, and a storm opens them anew.
    let stays = !matches!(scenario, Scenario::Churn | Scenario::Storm);
    if stays && outcome.faults.ended >= outcome.opening.connections as u64 {
        anyhow::bail!("every connection ended early");
    }
    anyhow::ensure!(
        scenario == Scenario::Idle || outcome.arrived > 0,
        "nothing arrived within the counted time"
    );
    Ok(())
}

/// Whether the server is as fast as it has to be.
fn judge(comparison: &Comparison, least: Option<f64>) -> anyhow::Result<()> {
    let rate = comparison.ratios().per_second.map(|spread| spread.median);
    match (rate, least) {
        (Some(rate), Some(least)) if rate < least => {
            anyhow::bail!(
                "the median ratio of messages per second is {rate:.3}, below --least {least}"
            )
        }
        (None, Some(_)) => anyhow::bail!("no messages, and so no ratio for --least to compare"),
        _ => Ok(()),
    }
}
