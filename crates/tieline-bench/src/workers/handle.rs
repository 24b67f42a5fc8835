//! A worker process, seen from the process that started it.
//!
//! Owns the child, its standard input and the thread that reads its messages. Must not know other
//! workers, or when a barrier opens. Invariant: a worker is killed when its handle is dropped, so an
//! error leaves none behind.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::SyncSender,
    thread,
};

use anyhow::Context;

use super::message::WorkerMessage;
use crate::{coordinator::Barrier, outcome::Outcome, partition::Partition};

/// A worker process, killed on drop.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    child: Child,
    stdin: ChildStdin,
    pub(super) opened: usize,
    pub(super) arrived: u64,
    /// The barrier that it waits at, and its value there.
    pub(super) waiting_at: Option<(Barrier, u64)>,
    pub(super) outcome: Option<Box<Outcome>>,
}

impl WorkerHandle {
    /// Starts a worker. Its messages are sent with its index; `None` marks their end.
    pub(super) fn start(
        mut command: Command,
        partition: &Partition,
        index: usize,
        reports: SyncSender<(usize, Option<WorkerMessage>)>,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let stdout = child.stdout.take().expect("it is piped");
        let stdin = child.stdin.take().expect("it is piped");
        let mut handle = Self {
            child,
            stdin,
            opened: 0,
            arrived: 0,
            waiting_at: None,
            outcome: None,
        };
        let mut line = serde_json::to_string(partition)?;
        line.push('\n');
        handle
            .stdin
            .write_all(line.as_bytes())
            .context("cannot write to a worker")?;
        thread::spawn(move || read_messages(stdout, index, &reports));
        Ok(handle)
    }

    /// Lets the worker pass its barrier.
    pub(super) fn answer(&mut self, answer: u64) -> anyhow::Result<()> {
        writeln!(self.stdin, "{answer}").context("cannot write to a worker")
    }

    /// How the process exited.
    pub(super) fn exit_status(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // Killing an ended process fails, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_messages(
    stdout: ChildStdout,
    index: usize,
    reports: &SyncSender<(usize, Option<WorkerMessage>)>,
) {
    for line in BufReader::new(stdout).lines() {
        let report = match line {
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|_| WorkerMessage::Failed(format!("unexpected output: {line:?}"))),
            Err(_) => break,
        };
        if reports.send((index, Some(report))).is_err() {
            return;
        }
    }
    // The receiver may be gone already.
    let _ = reports.send((index, None));
}
