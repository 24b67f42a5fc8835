//! The process that starts the workers and coordinates them.

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
    coordinator::Gate,
    outcome::Outcome,
    partition::Share,
    plan::Plan,
    process_stats::Watch,
    progress::Progress,
};

/// How soon they begin after all are open: enough for each of them to hear of it.
const HEAD_START: u64 = 50 * MILLISECOND;
const TICK: Duration = Duration::from_millis(10);
/// Reports that wait to be read; a worker that is ahead of that waits.
const WAITING: usize = 64;

/// Runs a plan in several processes.
pub(crate) fn run(
    plan: &Plan,
    processes: usize,
    progress: &dyn Progress,
    program: &dyn Fn() -> io::Result<Command>,
) -> anyhow::Result<Outcome> {
    let (sender, reports) = sync_channel(WAITING);
    let mut handles = Vec::new();
    for index in 0..processes {
        let share = Share::part(plan, index, processes);
        let command = program().context("cannot find the program that runs workers")?;
        handles.push(WorkerHandle::start(command, &share, index, sender.clone())?);
    }
    drop(sender);
    let mut workers = Workers {
        plan,
        progress,
        watch: Watch::new(&plan.pids),
        handles,
        reports,
        counting: 0,
    };
    while !workers.is_done() {
        workers.turn()?;
    }
    let (used, faults) = workers.watch.finish();
    let outcomes = workers
        .handles
        .iter_mut()
        .filter_map(|handle| handle.outcome.take());
    Ok(merge::merge(plan, outcomes, used, faults))
}

struct Workers<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    watch: Watch,
    handles: Vec<WorkerHandle>,
    reports: Receiver<(usize, Option<WorkerMessage>)>,
    /// How many workers count.
    counting: usize,
}

impl Workers<'_> {
    fn is_done(&self) -> bool {
        self.handles.iter().all(|handle| handle.outcome.is_some())
    }

    /// Hears a report, if there is one, and opens a gate, if all wait.
    fn turn(&mut self) -> anyhow::Result<()> {
        match self.reports.recv_timeout(TICK) {
            Ok((index, Some(report))) => self.hear(index, report)?,
            Ok((index, None)) if self.handles[index].outcome.is_none() => {
                bail!("a worker ended too early: {}", self.handles[index].fate())
            }
            Ok((_, None)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("all workers ended too early"),
        }
        self.open_gate()
    }

    fn hear(&mut self, index: usize, report: WorkerMessage) -> anyhow::Result<()> {
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
            WorkerMessage::Counting(true) => {
                self.counting += 1;
                if self.counting == 1 {
                    self.watch.counting(true);
                }
            }
            WorkerMessage::Counting(false) => {
                self.counting = self.counting.saturating_sub(1);
                if self.counting == 0 {
                    self.watch.counting(false);
                }
            }
            WorkerMessage::At(gate, own) => handle.waits = Some((gate, own)),
            WorkerMessage::Done(outcome) => handle.outcome = Some(outcome),
            WorkerMessage::Failed(why) => bail!("a worker failed: {why}"),
        }
        Ok(())
    }

    /// Lets those pass who wait at the earliest gate, once nobody is on the way any more.
    fn open_gate(&mut self) -> anyhow::Result<()> {
        let on_the_way = |handle: &WorkerHandle| handle.waits.is_none() && handle.outcome.is_none();
        if self.handles.iter().any(on_the_way) {
            return Ok(());
        }
        let waits = self.handles.iter().filter_map(|handle| handle.waits);
        let Some((gate, _)) = waits.clone().min_by_key(|(gate, _)| *gate) else {
            return Ok(());
        };
        if !self.watch.pass(gate) {
            return Ok(());
        }
        let answer = match gate {
            Gate::Open => clock::now() + HEAD_START,
            _ => waits.map(|(_, own)| own).max().unwrap_or(0),
        };
        for handle in &mut self.handles {
            if handle.waits.take_if(|(at, _)| *at == gate).is_some() {
                handle.answer(answer)?;
            }
        }
        Ok(())
    }
}
