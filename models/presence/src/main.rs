//! A model of the presence protocol: who is in which roster, and who is told of it.
//!
//! It explores every order of events within the bounds of an experiment, and prints the shortest trace of each
//! violation of an invariant. `README.md` has the protocol, the invariants and what was explored.
//!
//! ```text
//! cargo run --release -p tieline-presence-model                   the experiments with small bounds
//! cargo run --release -p tieline-presence-model -- --large        those with large bounds: minutes, 1 GB
//! cargo run --release -p tieline-presence-model -- --line LINE    one experiment
//! ```
//!
//! A further argument selects the experiments whose names contain it.
//!
//! | file | owns |
//! |---|---|
//! | `setup` | the rules and faults of an experiment |
//! | `world` | the state of processes, registry and network |
//! | `store` | the registry's side: terms, entries, the journal |
//! | `node` | the node's side: puts and beats |
//! | `follower` | readers of the journal, and what their subscribers are told |
//! | `dispatcher` | the one reader for the cluster |
//! | `action` | what can happen |
//! | `faults`, `steps` | what can happen in a world |
//! | `apply`, `judge` | the next world, and whether the invariants hold |
//!
//! The search is in `models/search`.

mod action;
mod apply;
mod dispatcher;
mod faults;
mod follower;
mod judge;
mod node;
mod setup;
mod steps;
mod store;
mod world;

use std::{io, process::ExitCode};

use tieline_model_search::{Model as _, experiments, explore};

use crate::setup::Setup;

const SMALL: &str = include_str!("../experiments.txt");
const LARGE: &str = include_str!("../large.txt");

fn main() -> io::Result<ExitCode> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let passed = match args[..] {
        ["--line", line] => explore(&[Setup::parse(line)], &mut out)?,
        ["--large"] => explore::<Setup>(&experiments(LARGE, ""), &mut out)?,
        ["--large", filter] => explore::<Setup>(&experiments(LARGE, filter), &mut out)?,
        [] => explore::<Setup>(&experiments(SMALL, ""), &mut out)?,
        [filter] => explore::<Setup>(&experiments(SMALL, filter), &mut out)?,
        _ => false,
    };
    Ok(ExitCode::from(u8::from(!passed)))
}

#[cfg(test)]
mod tests;
