//! Runs a plan, in this process if one suffices, else in workers.
//!
//! Owns the number of processes, and the coordinator of a load in this process. Must not know scenarios.
//! Invariant: faults of the server are in the outcome, unless not a single connection opened, which is
//! an error.

use std::{io, process::Command, time::Duration};

use anyhow::bail;

use crate::{
    affinity::PinnedThread,
    clock,
    coordinator::{Barrier, Coordinator},
    fd_limit,
    load::{self, GRACE},
    outcome::Outcome,
    partition::{self, Partition},
    plan::Plan,
    process_stats::ProcessMonitor,
    progress::Progress,
    validate::PlanError,
    workers,
};

/// Ports of one address towards one server, by the default range of the kernel.
const PORTS_PER_ADDRESS: usize = 28_000;

/// Each process connects from its own address, 127.0.0.1 to 127.0.0.254.
const MAX_PROCESSES: usize = 254;

/// Runs a plan in as many processes as it needs, which run this program with the arguments `bench
/// worker`. A single process runs the load on the calling thread, pinned to [`Plan::cpu`].
///
/// # Errors
///
/// The plan is invalid, no connection opened, or this machine failed. Faults of the server after that
/// are in the outcome.
pub fn run(plan: &Plan, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    run_with(plan, progress, &|| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "worker"]);
        Ok(command)
    })
}

/// Like [`run`], with another command that runs [`worker`](crate::worker).
pub fn run_with(
    plan: &Plan,
    progress: &dyn Progress,
    worker: &dyn Fn() -> io::Result<Command>,
) -> anyhow::Result<Outcome> {
    plan.validate()?;
    let processes = processes(plan, fd_limit::raise())?;
    let mut outcome = match processes {
        1 => run_local(plan, progress)?,
        _ => workers::run(plan, processes, progress, worker)?,
    };
    outcome.faults.explain(Duration::from_nanos(GRACE));
    if outcome.opening.connections > 0 {
        return Ok(outcome);
    }
    let why = outcome.faults.examples.join("; ");
    bail!("no connection opened: {why}; check that the server is running and that the URL is right")
}

/// Checks that a plan does not need too many processes.
pub(crate) fn check_processes(plan: &Plan) -> Result<(), PlanError> {
    processes(plan, fd_limit::raise()).map(drop)
}

/// How many processes a plan needs if each may have `allowed` connections.
fn processes(plan: &Plan, allowed: usize) -> Result<usize, PlanError> {
    let sockets = allowed.min(PORTS_PER_ADDRESS * plan.urls.len());
    let each = (sockets / partition::sockets_each(plan)).max(1);
    let needed = plan.connections.div_ceil(each).max(plan.processes);
    let processes = needed.clamp(1, plan.connections.div_ceil(partition::unit(plan)));
    if processes > MAX_PROCESSES {
        return Err(PlanError::Processes { processes, each });
    }
    Ok(processes)
}

fn run_local(plan: &Plan, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let _pin = plan.cpu.as_ref().map(PinnedThread::pin).transpose()?;
    let mut coordinator = LocalCoordinator {
        plan,
        progress,
        monitor: ProcessMonitor::new(&plan.pids),
    };
    let mut outcome = load::play(&Partition::whole(plan), &mut coordinator)?;
    let (processes, faults) = coordinator.monitor.finish();
    outcome.processes = processes;
    outcome.faults.add(faults);
    Ok(outcome)
}

/// Coordinates a load in this process.
struct LocalCoordinator<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    monitor: ProcessMonitor,
}

impl Coordinator for LocalCoordinator<'_> {
    fn opened(&mut self, connections: usize) {
        self.progress.opened(connections, self.plan.connections);
    }

    fn running(&mut self, elapsed: u64, arrived: u64) {
        let elapsed = Duration::from_nanos(elapsed);
        self.progress.running(elapsed, self.plan.duration, arrived);
    }

    fn set_measuring(&mut self, active: bool) {
        self.monitor.set_measuring(active);
    }

    fn poll_barrier(&mut self, barrier: Barrier, value: u64) -> anyhow::Result<Option<u64>> {
        Ok(self.monitor.poll_barrier(barrier).then(|| match barrier {
            Barrier::AllOpen => clock::now(),
            _ => value,
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
