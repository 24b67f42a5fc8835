//! A worker as it sees itself.

use std::{
    io::{self, BufRead, Write},
    process,
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
};

use anyhow::{Context, bail};

use super::message::WorkerMessage;
use crate::{
    affinity::Pin,
    coordinator::{Coordinator, Gate},
    fd_limit, load,
    partition::Share,
};

/// What a worker process runs: reads its share of a plan from standard input, and says its outcome on
/// standard output. It ends when its standard input does.
pub fn worker() -> anyhow::Result<()> {
    let played = play();
    let report = match played {
        Ok(report) => report,
        Err(e) => WorkerMessage::Failed(format!("{e:#}")),
    };
    say(&report)
}

fn play() -> anyhow::Result<WorkerMessage> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let share: Share = serde_json::from_str(&line).context("standard input holds no share")?;
    let _pin = share.plan.cpu.map(Pin::to).transpose()?;
    fd_limit::raise();
    let mut remote = Remote {
        answers: answers(),
        asked: false,
    };
    let outcome = load::play(&share, &mut remote)?;
    Ok(WorkerMessage::Done(Box::new(outcome)))
}

/// Reads answers; ends this process when there can be none any more.
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

/// Is coordinated by whoever started this process.
struct Remote {
    answers: Receiver<u64>,
    /// It waits at a gate.
    asked: bool,
}

impl Coordinator for Remote {
    fn opened(&mut self, connections: usize) {
        // Whoever does not listen any more ends this process.
        let _ = say(&WorkerMessage::Opened(connections));
    }

    fn running(&mut self, elapsed: u64, arrived: u64) {
        let _ = say(&WorkerMessage::Running(elapsed, arrived));
    }

    fn counting(&mut self, begins: bool) {
        let _ = say(&WorkerMessage::Counting(begins));
    }

    fn pass(&mut self, gate: Gate, own: u64) -> anyhow::Result<Option<u64>> {
        if !self.asked {
            self.asked = true;
            say(&WorkerMessage::At(gate, own))?;
        }
        match self.answers.try_recv() {
            Ok(answer) => {
                self.asked = false;
                Ok(Some(answer))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => bail!("nobody coordinates this worker any more"),
        }
    }
}

fn say(report: &WorkerMessage) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}
