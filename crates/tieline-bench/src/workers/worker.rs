//! The main function of a worker process.
//!
//! Owns the conversation with the process that started it. Must not know other workers, nor measure the
//! server. Invariant: standard output has nothing but messages.

use std::{
    io::{self, BufRead, Write},
    process,
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
};

use anyhow::{Context, bail};

use super::message::WorkerMessage;
use crate::{
    affinity::PinnedThread,
    coordinator::{Barrier, Coordinator},
    fd_limit, load,
    partition::Partition,
};

/// Runs a worker process: reads its part of a plan from standard input, and writes its outcome to standard
/// output. Exits when its standard input closes.
pub fn worker() -> anyhow::Result<()> {
    let played = play();
    let report = match played {
        Ok(report) => report,
        Err(e) => WorkerMessage::Failed(format!("{e:#}")),
    };
    send(&report)
}

fn play() -> anyhow::Result<WorkerMessage> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let partition: Partition =
        serde_json::from_str(&line).context("standard input has no part of a plan")?;
    let cpus = partition.plan.cpu.as_ref();
    let _pin = cpus.map(PinnedThread::pin).transpose()?;
    fd_limit::raise();
    let mut coordinator = RemoteCoordinator {
        answers: answers(),
        asked: false,
    };
    let outcome = load::play(&partition, &mut coordinator)?;
    Ok(WorkerMessage::Done(Box::new(outcome)))
}

/// Reads answers; exits when standard input closes.
fn answers() -> Receiver<u64> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(answer) = line.parse() else { break };
            if sender.send(answer).is_err() {
                return;
            }
        }
        process::exit(1);
    });
    receiver
}

/// The coordinator, in the process that started this one.
struct RemoteCoordinator {
    answers: Receiver<u64>,
    /// The worker waits at a barrier.
    asked: bool,
}

impl Coordinator for RemoteCoordinator {
    fn opened(&mut self, connections: usize) {
        // If the other end is gone, standard input closes, which ends this process.
        let _ = send(&WorkerMessage::Opened(connections));
    }

    fn running(&mut self, elapsed: u64, arrived: u64) {
        let _ = send(&WorkerMessage::Running(elapsed, arrived));
    }

    fn set_measuring(&mut self, active: bool) {
        let _ = send(&WorkerMessage::Measuring(active));
    }

    fn poll_barrier(&mut self, barrier: Barrier, value: u64) -> anyhow::Result<Option<u64>> {
        if !self.asked {
            self.asked = true;
            send(&WorkerMessage::At(barrier, value))?;
        }
        match self.answers.try_recv() {
            Ok(answer) => {
                self.asked = false;
                Ok(Some(answer))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => bail!("the coordinator is gone"),
        }
    }
}

fn send(report: &WorkerMessage) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}
