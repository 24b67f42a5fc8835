//! Runs a plan: in this process where that suffices, in workers else.

use std::{io, process::Command, time::Duration};

use anyhow::bail;

use crate::{
    clock,
    conduct::{Conductor, Gate},
    descriptors, load,
    outcome::Outcome,
    pin::Pin,
    plan::Plan,
    process::Watch,
    share::Share,
    workers,
};

/// Ports that one address may use towards one server, by the kernel's default range.
const PORTS: usize = 28_000;

/// Who is told now and then how a measurement goes.
pub trait Progress {
    /// So many connections are open, of so many.
    fn opened(&self, connections: usize, of: usize);

    /// It runs since `elapsed`, which is nothing while it warms up; so many messages have arrived.
    fn running(&self, elapsed: Duration, of: Duration, arrived: u64);
}

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
    let processes = processes(plan, descriptors::raise());
    let outcome = match processes {
        1 => alone(plan, progress)?,
        _ => workers::run(plan, processes, progress, worker)?,
    };
    if outcome.opening.connections > 0 {
        return Ok(outcome);
    }
    let why = outcome.faults.examples.join("; ");
    bail!("no connection opened: {why}; check that the server runs and that the address is its own")
}

/// How many processes a plan needs where each may have so many connections.
fn processes(plan: &Plan, allowed: usize) -> usize {
    let each = allowed.min(PORTS * plan.urls.len());
    let needed = plan.connections.div_ceil(each).max(plan.processes);
    // Pairs are not split.
    needed.clamp(1, plan.connections.div_ceil(2))
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

/// Conducts a load of one process.
struct Alone<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    watch: Watch,
}

impl Conductor for Alone<'_> {
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
        assert_eq!(processes(&plan, 1000), 1);
        assert_eq!(processes(&plan, 999), 2);
        plan.processes = 4;
        assert_eq!(processes(&plan, 1000), 4);
        plan.connections = 2;
        assert_eq!(processes(&plan, 1000), 1);
        plan.connections = 100_000;
        assert_eq!(processes(&plan, usize::MAX), 4);
        plan.processes = 0;
        plan.urls.push(plan.urls[0].clone());
        assert_eq!(processes(&plan, usize::MAX), 2);
    }
}
