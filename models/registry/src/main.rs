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
//! | `search` | the search |

mod action;
mod apply;
mod emit;
mod faults;
mod judge;
mod lease;
mod node;
mod search;
mod setup;
mod steps;
mod store;
mod world;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use crate::{action::Action, search::Graph, setup::Setup};

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
        ["--large"] => explore(&experiments(LARGE, ""), &mut out)?,
        ["--large", filter] => explore(&experiments(LARGE, filter), &mut out)?,
        [] => explore(&experiments(SMALL, ""), &mut out)?,
        [filter] => explore(&experiments(SMALL, filter), &mut out)?,
        _ => false,
    };
    Ok(ExitCode::from(u8::from(!passed)))
}

/// The experiments of a table whose names contain a text.
fn experiments(table: &str, filter: &str) -> Vec<Setup> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let setups = lines.map(Setup::parse);
    setups.filter(|setup| setup.name.contains(filter)).collect()
}

/// Explores each setup, and prints what it finds. Whether that is what is expected.
fn explore(setups: &[Setup], out: &mut impl Write) -> io::Result<bool> {
    let mut passed = !setups.is_empty();
    let mut worlds = 0;
    for setup in setups {
        let start = Instant::now();
        let graph = Graph::explore(setup);
        worlds += graph.worlds();
        let (count, steps) = (graph.worlds(), graph.steps());
        writeln!(
            out,
            "{}: {count} worlds, {steps} steps, {:.1?}",
            setup.name,
            start.elapsed()
        )?;
        let violations = violations(setup, &graph);
        for (violation, trace) in &violations {
            writeln!(out, "   {violation}: {}", text(trace))?;
        }
        let found: BTreeSet<_> = violations.iter().map(|(name, _)| code(name)).collect();
        if !found.iter().eq(&setup.expected) {
            writeln!(out, "   EXPECTED {:?}", setup.expected)?;
            passed = false;
        }
    }
    writeln!(out, "{worlds} worlds in all")?;
    Ok(passed)
}

/// Each violation with a shortest trace.
fn violations(setup: &Setup, graph: &Graph) -> Vec<(&'static str, Vec<Action>)> {
    let bad = graph.bad.iter();
    let mut violations: Vec<_> = bad
        .map(|&(bad, at)| (bad, graph.trace(setup, at)))
        .collect();
    if let Some((from, _)) = graph.cycle() {
        violations.push(("I5 the protocol goes in circles", graph.trace(setup, from)));
    }
    if graph.was_cut_off {
        violations.push(("?? the search was cut off", vec![]));
    }
    violations
}

fn code(violation: &str) -> String {
    let (code, _) = violation.split_once(' ').unwrap_or((violation, ""));
    code.to_owned()
}

fn text(trace: &[Action]) -> String {
    let words: Vec<_> = trace.iter().map(|action| action.words()).collect();
    words.join(", ")
}

/// The shortest trace of each violation that a protocol without one of its rules has, once each: what the
/// conformance suite plays on every registry.
fn traces() -> String {
    let mut traces = BTreeSet::new();
    for setup in experiments(SMALL, "without") {
        let graph = Graph::explore(&setup);
        for (violation, trace) in violations(&setup, &graph) {
            traces.insert(format!(
                "{} | {} | {}\n",
                setup.name,
                code(violation),
                text(&trace)
            ));
        }
    }
    traces.into_iter().collect()
}

#[cfg(test)]
mod tests;
