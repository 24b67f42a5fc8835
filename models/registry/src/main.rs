//! A model of the registry protocol: which node has which client, and what all nodes do about it.
//!
//! It explores every order of events within the bounds of an experiment, and prints the shortest trace of each
//! violation of an invariant. `README.md` has the protocol, the invariants and what was explored.
//!
//! ```text
//! cargo run --release -p tieline-registry-model                   the experiments with small bounds
//! cargo run --release -p tieline-registry-model -- --large        those with large bounds: minutes, 3 GB
//! cargo run --release -p tieline-registry-model -- --traces       the traces for the conformance suite
//! cargo run --release -p tieline-registry-model -- --line LINE    one experiment
//! ```
//!
//! A further argument selects the experiments whose names contain it.
//!
//! | file | owns |
//! |---|---|
//! | `setup` | the rules and faults of an experiment |
//! | `world` | the state of processes, registry and network |
//! | `store` | the registry's side of the protocol |
//! | `node`, `lease`, `emit` | the node's side: requests, leases, messages |
//! | `action` | what can happen |
//! | `faults`, `steps` | what can happen in a world |
//! | `apply`, `judge` | the next world, and whether the invariants hold |
//!
//! The search is in `models/search`.

mod action;
mod apply;
mod emit;
mod faults;
mod judge;
mod lease;
mod node;
mod setup;
mod steps;
mod store;
mod world;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::ExitCode,
};

use tieline_model_search::{Graph, Model as _, code, experiments, explore, text, violations};

use crate::setup::Setup;

const SMALL: &str = include_str!("../experiments.txt");
const LARGE: &str = include_str!("../large.txt");

fn main() -> io::Result<ExitCode> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let passed = match args[..] {
        ["--traces"] => {
            write!(out, "{}", traces())?;
            true
        }
        ["--line", line] => explore(&[Setup::parse(line)], &mut out)?,
        ["--large"] => explore::<Setup>(&experiments(LARGE, ""), &mut out)?,
        ["--large", filter] => explore::<Setup>(&experiments(LARGE, filter), &mut out)?,
        [] => explore::<Setup>(&experiments(SMALL, ""), &mut out)?,
        [filter] => explore::<Setup>(&experiments(SMALL, filter), &mut out)?,
        _ => false,
    };
    Ok(ExitCode::from(u8::from(!passed)))
}

/// The shortest trace of each violation that a protocol without one of its rules has, once each: what the
/// conformance suite plays on every registry.
fn traces() -> String {
    let mut traces = BTreeSet::new();
    for setup in experiments::<Setup>(SMALL, "without") {
        let graph = Graph::explore(&setup);
        for (violation, trace) in violations(&setup, &graph) {
            traces.insert(format!(
                "{} | {} | {}\n",
                setup.name,
                code(violation),
                text::<Setup>(&trace)
            ));
        }
    }
    traces.into_iter().collect()
}

#[cfg(test)]
mod tests;
