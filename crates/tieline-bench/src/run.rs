//! Runs a plan: in this process where that suffices, in workers else.

use std::{io, process::Command, time::Duration};

use anyhow::bail;

use crate::{
    affinity::Pin,
    clock,
    coordinator::{Coordinator, Gate},
    fd_limit,
    load::{self, GRACE},
    outcome::Outcome,
    partition::Share,
    plan::Plan,
    process_stats::Watch,
    progress::Progress,
    validate::PlanError,
    workers,
};

/// Ports that one address may use towards one server, by the kernel's default range.
const PORTS: usize = 28_000;

/// Each process connects from an address of its own, 127.0.0.1 to 127.0.0.254.
const MOST: usize = 254;

/// Runs a plan, in as many processes as it needs: they are this program with the arguments
/// `bench worker`. The load runs on this thread, which is bound to [`Plan::cpu`] meanwhile.
///
/// # Errors
///
/// The plan cannot be played, no connection could be opened, or this machine failed; what a server
/// did wrong after that is in the outcome.
pub fn run(plan: &Plan, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    run_with(plan, progress, &|| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "worker"]);
        Ok(command)
    })
}

/// The same, with another program that runs [`worker`](crate::worker).
pub fn run_with(
    plan: &Plan,
    progress: &dyn Progress,
    worker: &dyn Fn() -> io::Result<Command>,
) -> anyhow::Result<Outcome> {
    plan.validate()?;
    let processes = processes(plan, fd_limit::raise())?;
    let mut outcome = match processes {
        1 => alone(plan, progress)?,
        _ => workers::run(plan, processes, progress, worker)?,
    };
    outcome.faults.explain(Duration::from_nanos(GRACE));
    if outcome.opening.connections > 0 {
        return Ok(outcome);
    }
    let why = outcome.faults.examples.join("; ");
    bail!("no connection opened: {why}; check that the server runs and that the address is its own")
}

/// Whether there can be as many processes as a plan needs.
pub(crate) fn check_processes(plan: &Plan) -> Result<(), PlanError> {
    processes(plan, fd_limit::raise()).map(drop)
}

/// How many processes a plan needs where each may have so many connections.
fn processes(plan: &Plan, allowed: usize) -> Result<usize, PlanError> {
    let each = allowed.min(PORTS * plan.urls.len());
    let needed = plan.connections.div_ceil(each).max(plan.processes);
    // Pairs are not split.
    let processes = needed.clamp(1, plan.connections.div_ceil(2));
    if processes > MOST {
        return Err(PlanError::Processes { processes, each });
    }
    Ok(processes)
}

fn alone(plan: &Plan, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let _pin = plan.cpu.map(Pin::to).transpose()?;
    let mut alone = Alone {
        plan,
        progress,
        watch: Watch::new(&plan.pids),
    };
    let mut outcome = load::play(&Share::whole(plan), &mut alone)?;
    let (processes, faults) = alone.watch.finish();
    outcome.processes = processes;
    outcome.faults.add(faults);
    Ok(outcome)
}

/// Coordinates a load of one process.
struct Alone<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    watch: Watch,
}

impl Coordinator for Alone<'_> {
    fn opened(&mut self, connections: usize) {
        self.progress.opened(connections, self.plan.connections);
    }

    fn running(&mut self, elapsed: u64, arrived: u64) {
        let elapsed = Duration::from_nanos(elapsed);
        self.progress.running(elapsed, self.plan.duration, arrived);
    }

    fn counting(&mut self, begins: bool) {
        self.watch.counting(begins);
    }

    fn pass(&mut self, gate: Gate, own: u64) -> anyhow::Result<Option<u64>> {
        Ok(self.watch.pass(gate).then(|| match gate {
            Gate::Open => clock::now(),
            _ => own,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tests::plan;

    #[test]
    fn there_are_as_many_processes_as_connections_need() {
        let mut plan = plan();
        plan.connections = 1000;
        assert_eq!(processes(&plan, 1000), Ok(1));
        assert_eq!(processes(&plan, 999), Ok(2));
        plan.processes = 4;
        assert_eq!(processes(&plan, 1000), Ok(4));
        plan.connections = 2;
        assert_eq!(processes(&plan, 1000), Ok(1));
        plan.connections = 100_000;
        assert_eq!(processes(&plan, usize::MAX), Ok(4));
        plan.processes = 0;
        plan.urls.push(plan.urls[0].clone());
        assert_eq!(processes(&plan, usize::MAX), Ok(2));
    }

    #[test]
    fn too_many_processes_are_refused_by_the_limit_that_calls_for_them() {
        let mut plan = plan();
        plan.connections = 25_400;
        assert_eq!(processes(&plan, 100), Ok(254));
        plan.connections += 1;
        let why = processes(&plan, 100).unwrap_err().to_string();
        assert!(
            why.contains("255 processes") && why.contains("descriptor limit"),
            "{why}"
        );
        plan.processes = 1_000;
        assert!(processes(&plan, usize::MAX).is_err());
    }
}
