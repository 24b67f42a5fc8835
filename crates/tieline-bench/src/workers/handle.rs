//! A worker as whoever started it sees it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::SyncSender,
    thread,
};

use anyhow::Context;

use super::message::WorkerMessage;
use crate::{coordinator::Gate, outcome::Outcome, partition::Share};

/// A worker process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    child: Child,
    orders: ChildStdin,
    pub(super) opened: usize,
    pub(super) arrived: u64,
    /// The gate that it waits at, and what it said there.
    pub(super) waits: Option<(Gate, u64)>,
    pub(super) outcome: Option<Box<Outcome>>,
}

impl WorkerHandle {
    /// Starts a worker; what it says comes with its index, and nothing at last.
    pub(super) fn start(
        mut command: Command,
        share: &Share,
        index: usize,
        reports: SyncSender<(usize, Option<WorkerMessage>)>,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let said = child.stdout.take().expect("it is piped");
        let orders = child.stdin.take().expect("it is piped");
        let mut handle = Self {
            child,
            orders,
            opened: 0,
            arrived: 0,
            waits: None,
            outcome: None,
        };
        let mut line = serde_json::to_string(share)?;
        line.push('\n');
        handle
            .orders
            .write_all(line.as_bytes())
            .context("a worker does not listen")?;
        thread::spawn(move || listen(said, index, &reports));
        Ok(handle)
    }

    /// Lets it pass the gate that it waits at.
    pub(super) fn answer(&mut self, answer: u64) -> anyhow::Result<()> {
        writeln!(self.orders, "{answer}").context("a worker does not listen any more")
    }

    /// How it ended.
    pub(super) fn fate(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and needs not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(said: ChildStdout, index: usize, reports: &SyncSender<(usize, Option<WorkerMessage>)>) {
    for line in BufReader::new(said).lines() {
        let report = match line {
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|_| WorkerMessage::Failed(format!("it said {line:?}"))),
            Err(_) => break,
        };
        if reports.send((index, Some(report))).is_err() {
            return;
        }
    }
    // Whoever started it may be gone, too.
    let _ = reports.send((index, None));
}
