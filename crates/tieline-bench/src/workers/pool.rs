//! The process that starts the workers and coordinates them.
//!
//! Owns the workers and the measurement of the server's processes. Must not know scenarios. Invariants:
//! a barrier opens only when every worker waits or is done, and the failure of one worker ends all.

use std::{
    io,
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, bail};

use super::{handle::WorkerHandle, merge, message::WorkerMessage};
use crate::{
    clock::{self, MILLISECOND},
    coordinator::Barrier,
    outcome::Outcome,
    partition::Partition,
    plan::Plan,
    process_stats::ProcessMonitor,
    progress::Progress,
};

/// The delay from the last open connection to the start, so that every worker learns of it in time.
const START_DELAY: u64 = 50 * MILLISECOND;
const TICK: Duration = Duration::from_millis(10);
/// Messages in the queue; a full queue makes workers wait.
const QUEUE: usize = 64;

/// Runs a plan in several processes.
pub(crate) fn run(
    plan: &Plan,
    processes: usize,
    progress: &dyn Progress,
    program: &dyn Fn() -> io::Result<Command>,
) -> anyhow::Result<Outcome> {
    let (sender, reports) = sync_channel(QUEUE);
    let mut handles = Vec::new();
    for index in 0..processes {
        let partition = Partition::part(plan, index, processes);
        let command = program().context("cannot find the program that runs workers")?;
        handles.push(WorkerHandle::start(
            command,
            &partition,
            index,
            sender.clone(),
        )?);
    }
    drop(sender);
    let mut workers = Workers {
        plan,
        progress,
        monitor: ProcessMonitor::new(&plan.pids),
        handles,
        reports,
        measuring: 0,
    };
    while !workers.is_done() {
        workers.poll_once()?;
    }
    let (used, faults) = workers.monitor.finish();
    let outcomes = workers
        .handles
        .iter_mut()
        .filter_map(|handle| handle.outcome.take());
    Ok(merge::merge(plan, outcomes, used, faults))
}

struct Workers<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    monitor: ProcessMonitor,
    handles: Vec<WorkerHandle>,
    reports: Receiver<(usize, Option<WorkerMessage>)>,
    /// How many workers are measuring.
    measuring: usize,
}

impl Workers<'_> {
    fn is_done(&self) -> bool {
        self.handles.iter().all(|handle| handle.outcome.is_some())
    }

    /// Handles a message, if there is one, and opens a barrier, if all workers wait.
    fn poll_once(&mut self) -> anyhow::Result<()> {
        match self.reports.recv_timeout(TICK) {
            Ok((index, Some(report))) => self.on_message(index, report)?,
            Ok((index, None)) if self.handles[index].outcome.is_none() => {
                bail!(
                    "a worker ended too early: {}",
                    self.handles[index].exit_status()
                )
            }
            Ok((_, None)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("all workers ended too early"),
        }
        self.open_barrier()
    }

    fn on_message(&mut self, index: usize, report: WorkerMessage) -> anyhow::Result<()> {
        let handle = &mut self.handles[index];
        match report {
            WorkerMessage::Opened(connections) => {
                handle.opened = connections;
                let all = self.handles.iter().map(|handle| handle.opened).sum();
                self.progress.opened(all, self.plan.connections);
            }
            WorkerMessage::Running(elapsed, arrived) => {
                handle.arrived = arrived;
                let all = self.handles.iter().map(|handle| handle.arrived).sum();
                let elapsed = Duration::from_nanos(elapsed);
                self.progress.running(elapsed, self.plan.duration, all);
            }
            WorkerMessage::Measuring(true) => {
                self.measuring += 1;
                if self.measuring == 1 {
                    self.monitor.set_measuring(true);
                }
            }
            WorkerMessage::Measuring(false) => {
                self.measuring = self.measuring.saturating_sub(1);
                if self.measuring == 0 {
                    self.monitor.set_measuring(false);
                }
            }
            WorkerMessage::At(barrier, value) => handle.waiting_at = Some((barrier, value)),
            WorkerMessage::Done(outcome) => handle.outcome = Some(outcome),
            WorkerMessage::Failed(why) => bail!("a worker failed: {why}"),
        }
        Ok(())
    }

    /// Once all workers wait or are done, lets those at the earliest barrier pass.
    fn open_barrier(&mut self) -> anyhow::Result<()> {
        let is_running =
            |handle: &WorkerHandle| handle.waiting_at.is_none() && handle.outcome.is_none();
        if self.handles.iter().any(is_running) {
            return Ok(());
        }
        let waiting_at = self.handles.iter().filter_map(|handle| handle.waiting_at);
        let Some((barrier, _)) = waiting_at.clone().min_by_key(|(barrier, _)| *barrier) else {
            return Ok(());
        };
        if !self.monitor.poll_barrier(barrier) {
            return Ok(());
        }
        let answer = match barrier {
            Barrier::AllOpen => clock::now() + START_DELAY,
            _ => waiting_at.map(|(_, value)| value).max().unwrap_or(0),
        };
        for handle in &mut self.handles {
            if handle
                .waiting_at
                .take_if(|(at, _)| *at == barrier)
                .is_some()
            {
                handle.answer(answer)?;
            }
        }
        Ok(())
    }
}
