//! A started process: when it is ready, its recent output, and its end.
//!
//! Owns the child, its process group and the threads that read its output. Must not know what it serves,
//! except the ports that it has to listen on. Invariant: dropping it ends the group, by SIGTERM and,
//! after five seconds, SIGKILL.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::launch;
use crate::affinity::CpuList;

/// The time for a process to listen.
const READY: Duration = Duration::from_secs(10);
/// The time for a process to exit after SIGTERM.
const END: Duration = Duration::from_secs(5);
/// The time to read the remaining output of an exited process. Bounded, because its children may keep the
/// pipe open.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// Lines of output to keep.
const LINES: usize = 12;

/// A process. Dropping it ends the whole process group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    command: String,
    output: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(words: Vec<String>, cpu: Option<&CpuList>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let command = words.join(" ");
        let mut child = Command::new(program)
            .args(launch::arguments(words, cpu))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = Arc::default();
        // Some servers write errors to standard output.
        let readers = [
            child
                .stdout
                .take()
                .map(|stdout| read_output(stdout, &output)),
            child
                .stderr
                .take()
                .map(|stderr| read_output(stderr, &output)),
        ];
        Ok(Self {
            child,
            command,
            output,
            readers: readers.into_iter().flatten().collect(),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until each of the ports accepts connections.
    pub(super) fn await_ports(&mut self, ports: &[u16]) -> anyhow::Result<()> {
        let begin = Instant::now();
        for port in ports {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            while !accepts(address) {
                if let Some(status) = self.child.try_wait()? {
                    let words = self.recent_output();
                    let command = &self.command;
                    bail!("{command:?} ended ({status}) before it listened on {address}{words}");
                }
                if begin.elapsed() > READY {
                    let words = self.recent_output();
                    let (command, ready) = (&self.command, READY.as_secs());
                    bail!("{command:?} does not listen on {address} after {ready} s{words}");
                }
                pause();
            }
        }
        Ok(())
    }

    /// The message that it exited, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        let words = self.recent_output();
        let command = &self.command;
        Some(format!(
            "{command:?} ended ({status}) while it was measured{words}"
        ))
    }

    /// The recent output, each line indented.
    fn recent_output(&mut self) -> String {
        let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        let begin = Instant::now();
        while ended && begin.elapsed() < OUTPUT_GRACE && self.is_reading() {
            pause();
        }
        let output = self.output.lock();
        let lines = output.iter().map(|line| format!("\n    {line}"));
        lines.collect::<Vec<_>>().concat()
    }

    fn is_reading(&self) -> bool {
        let mut readers = self.readers.iter();
        readers.any(|reader| !reader.is_finished())
    }

    /// Waits until the process and its group have ended.
    fn ended_within(&mut self, group: Pid, deadline: Duration) -> bool {
        let begin = Instant::now();
        loop {
            // A zombie stays in its group until it is waited for.
            let runs = matches!(self.child.try_wait(), Ok(None));
            if !runs && test_kill_process_group(group).is_err() {
                return true;
            }
            if begin.elapsed() > deadline {
                return false;
            }
            pause();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group
            && kill_process_group(group, Signal::TERM).is_ok()
            && !self.ended_within(group, END)
        {
            // The rest of the group has had its time after SIGTERM.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // Killing an ended process fails; a process without a group has no children yet.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Refuses a connection to itself, which happens if the system chooses the target port as the source.
fn accepts(address: SocketAddr) -> bool {
    let met = TcpStream::connect_timeout(&address, READY).and_then(|socket| socket.local_addr());
    met.is_ok_and(|own| own != address)
}

/// Reads all output, so that the pipe never fills, and keeps the last lines.
fn read_output(
    pipe: impl Read + Send + 'static,
    output: &Arc<Mutex<VecDeque<String>>>,
) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut output = output.lock();
            if output.len() == LINES {
                output.pop_front();
            }
            output.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "not a thread of a runtime, and another process does not signal that it listens"
)]
fn pause() {
    thread::sleep(Duration::from_millis(5));
}
