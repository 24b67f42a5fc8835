//! A started process: when it is ready, what it said last, and its end.

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

/// How long a process may take until it listens.
const READY: Duration = Duration::from_secs(10);
/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);
/// How long the rest of what an ended process said may take to arrive: a child of its own may hold the
/// pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Lines that are kept of what it says.
const LINES: usize = 12;

/// A process that ends with this value, and with it all of its process group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    command: String,
    said: Arc<Mutex<VecDeque<String>>>,
    listeners: Vec<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(words: Vec<String>, cpu: Option<usize>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program does not know its own file")?;
        let command = words.join(" ");
        let mut child = Command::new(program)
            .args(launch::arguments(words, cpu))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = Arc::default();
        // Some servers complain on standard output.
        let listeners = [
            child.stdout.take().map(|stdout| listen(stdout, &said)),
            child.stderr.take().map(|stderr| listen(stderr, &said)),
        ];
        Ok(Self {
            child,
            command,
            said,
            listeners: listeners.into_iter().flatten().collect(),
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
                    let words = self.last_words();
                    let command = &self.command;
                    bail!("{command:?} ended ({status}) before it listened on {address}{words}");
                }
                if begin.elapsed() > READY {
                    let words = self.last_words();
                    let (command, ready) = (&self.command, READY.as_secs());
                    bail!("{command:?} does not listen on {address} after {ready} s{words}");
                }
                pause();
            }
        }
        Ok(())
    }

    /// Tells that it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        let words = self.last_words();
        let command = &self.command;
        Some(format!(
            "{command:?} ended ({status}) while it was measured{words}"
        ))
    }

    /// What it said last, each line indented.
    fn last_words(&mut self) -> String {
        let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        let begin = Instant::now();
        while ended && begin.elapsed() < LAST_WORDS && self.still_listens() {
            pause();
        }
        let said = self.said.lock();
        let lines = said.iter().map(|line| format!("\n    {line}"));
        lines.collect::<Vec<_>>().concat()
    }

    fn still_listens(&self) -> bool {
        let mut listeners = self.listeners.iter();
        listeners.any(|listener| !listener.is_finished())
    }

    /// Waits until it has ended, and all of its group.
    fn ended_within(&mut self, group: Pid, deadline: Duration) -> bool {
        let begin = Instant::now();
        loop {
            // It is of its group until its end is known.
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
            // Whoever is left has been asked.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // One that has ended cannot be killed; one that has no group yet has started nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection may also meet itself: on a free port that the system chose for its own end.
fn accepts(address: SocketAddr) -> bool {
    let met = TcpStream::connect_timeout(&address, READY).and_then(|socket| socket.local_addr());
    met.is_ok_and(|own| own != address)
}

/// Reads all that a process says, so that its pipe never fills, and keeps the end of it.
fn listen(pipe: impl Read + Send + 'static, said: &Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut said = said.lock();
            if said.len() == LINES {
                said.pop_front();
            }
            said.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread is no runtime's, and nobody tells when a port of another process listens"
)]
fn pause() {
    thread::sleep(Duration::from_millis(5));
}
