//! A plan in several processes, which open, begin and end together.
//!
//! A worker reads its share from standard input as a line of JSON, then an answer, which is a number,
//! for each gate that it waits at; it writes a [`Report`] to standard output, a line each. The end of
//! its standard input ends it, so that no worker outlives whoever started it.

mod handle;
mod merge;
mod worker;

use std::{
    io,
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use self::handle::WorkerHandle;
pub use self::worker::worker;
use crate::{
    clock::{self, MILLISECOND},
    coordinate::Gate,
    outcome::Outcome,
    plan::Plan,
    process::Watch,
    run::Progress,
    share::Share,
};

/// How soon they begin after all are open: enough for each of them to hear of it.
const HEAD_START: u64 = 50 * MILLISECOND;
const TICK: Duration = Duration::from_millis(10);
/// Reports that wait to be read; a worker that is ahead of that waits.
const WAITING: usize = 64;

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    /// So many connections are open.
    Opened(usize),
    /// It runs since so many nanoseconds, and so many messages arrived.
    Running(u64, u64),
    /// The counted time begins, or ends.
    Counting(bool),
    /// It waits at a gate, and says what that wants to know.
    At(Gate, u64),
    /// It is done.
    Done(Box<Outcome>),
    /// It cannot go on.
    Failed(String),
}

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
    reports: Receiver<(usize, Option<Report>)>,
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

    fn hear(&mut self, index: usize, report: Report) -> anyhow::Result<()> {
        let handle = &mut self.handles[index];
        match report {
            Report::Opened(connections) => {
                handle.opened = connections;
                let all = self.handles.iter().map(|handle| handle.opened).sum();
                self.progress.opened(all, self.plan.connections);
            }
            Report::Running(elapsed, arrived) => {
                handle.arrived = arrived;
                let all = self.handles.iter().map(|handle| handle.arrived).sum();
                let elapsed = Duration::from_nanos(elapsed);
                self.progress.running(elapsed, self.plan.duration, all);
            }
            Report::Counting(true) => {
                self.counting += 1;
                if self.counting == 1 {
                    self.watch.counting(true);
                }
            }
            Report::Counting(false) => {
                self.counting = self.counting.saturating_sub(1);
                if self.counting == 0 {
                    self.watch.counting(false);
                }
            }
            Report::At(gate, own) => handle.waits = Some((gate, own)),
            Report::Done(outcome) => handle.outcome = Some(outcome),
            Report::Failed(why) => bail!("a worker failed: {why}"),
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
