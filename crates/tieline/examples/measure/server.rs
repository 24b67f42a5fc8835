//! The processes that are measured.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result};

/// A server process that ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `program`, which says on standard error where it listens.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        Self::spawn(&mut Command::new(path(program)?), arguments)
    }

    /// The same on the first processor alone.
    pub(crate) fn pinned(program: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(path(program)?);
        Self::spawn(&mut command, arguments)
    }

    fn spawn(command: &mut Command, arguments: &[&str]) -> Result<Self> {
        let child = command.args(arguments).stderr(Stdio::piped()).spawn();
        let mut child =
            child.with_context(|| format!("cannot start {command:?}; build the examples first"))?;
        let mut said = BufReader::new(child.stderr.take().context("standard error")?).lines();
        let address = loop {
            let line = said.next().context("it ended without a word")??;
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.parse()?;
            }
        };
        // What it says later is not to fill the pipe.
        thread::spawn(move || said.for_each(drop));
        Ok(Self { child, address })
    }

    pub(crate) fn yardstick() -> Result<Self> {
        Self::start("yardstick", &["--listen", "127.0.0.1:0"])
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat
            .rsplit(") ")
            .next()
            .context("stat")?
            .split(' ')
            .collect::<Vec<_>>();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(program: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(program))
}
