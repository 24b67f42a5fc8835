//! What is measured: a server that runs already, or one that is started for the measurement.
//!
//! Owns the started processes from their first to their last moment. Must not know scenarios.
//! Invariant: neither a started process nor one of its process group outlives its [`Running`]. Where this
//! process itself is killed by a signal, only those end that it started itself, not their children.

pub(crate) mod launch;
mod ports;
mod process;

use anyhow::Context;

use self::{ports::Ports, process::Process};
use crate::usage::Usage;

/// What is measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// The commands that start it, in order; none if it runs already.
    pub(crate) commands: Vec<String>,
    /// The processor that they run on; none is any.
    pub(crate) cpu: Option<usize>,
    /// Where connections go, with the ports' places still open.
    pub(crate) urls: Vec<String>,
    /// Processes that run already and are measured too.
    pub(crate) pids: Vec<u32>,
}

/// A target that accepts connections. Started processes end with this value.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) urls: Vec<String>,
    pub(crate) pids: Vec<u32>,
    processes: Vec<Process>,
}

impl Target {
    /// Whether all of it can be meant.
    pub(crate) fn check(&self) -> Result<(), Usage> {
        let mut known = Vec::new();
        for command in &self.commands {
            words(command)?;
            let names = ports::names(command);
            let own = names.iter().any(|name| !known.contains(name));
            if !own {
                return Err(Usage(format!(
                    "nothing tells when {command:?} is ready: give it a free port by {{port}}, or \
                     {{port:NAME}} if there are several, as in --start 'server --listen 127.0.0.1:{{port}}'"
                )));
            }
            known.extend(names);
        }
        self.urls.iter().try_for_each(|url| check_url(url, &known))
    }

    /// The URLs as they could be, to see whether they are some before the ports are known.
    pub(crate) fn likely_urls(&self) -> Vec<String> {
        self.urls.iter().map(|url| ports::likely(url)).collect()
    }

    /// Starts what is to be started, each command when the one before accepts connections.
    pub(crate) fn start(&self) -> anyhow::Result<Running> {
        let mut ports = Ports::default();
        let mut running = Running {
            urls: Vec::new(),
            pids: self.pids.clone(),
            processes: Vec::new(),
        };
        for command in &self.commands {
            let own = ports.choose(command)?;
            let words = words(command)?;
            let words = words.iter().map(|word| ports.fill(word));
            let mut process = Process::start(words.collect(), self.cpu)
                .with_context(|| format!("cannot start {command:?}"))?;
            running.pids.push(process.id());
            let listens = process.await_ports(&own);
            running.processes.push(process);
            listens?;
        }
        running.urls = self.urls.iter().map(|url| ports.fill(url)).collect();
        Ok(running)
    }
}

impl Running {
    /// Tells of a process that is there no more.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.processes.iter_mut().find_map(Process::ended)
    }
}

impl Drop for Running {
    /// The last that was started ends first: it may need the others to end in order.
    fn drop(&mut self) {
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
    }
}

/// The words of a command, as a shell would split it.
fn words(command: &str) -> Result<Vec<String>, Usage> {
    let words = shlex::split(command).ok_or_else(|| {
        Usage(format!(
            "a quote of the command {command:?} is not closed, or it ends with a backslash"
        ))
    })?;
    if words.is_empty() {
        return Err(Usage("a command to start is empty".into()));
    }
    Ok(words)
}

fn check_url(url: &str, known: &[String]) -> Result<(), Usage> {
    let names = ports::names(url);
    match names.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Usage(format!(
            "the URL {url:?} asks for the port {}, which no command to start has",
            ports::place(name)
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(commands: &[&str], urls: &[&str]) -> Target {
        Target {
            commands: commands.iter().map(ToString::to_string).collect(),
            urls: urls.iter().map(ToString::to_string).collect(),
            ..Target::default()
        }
    }

    #[test]
    fn a_command_is_split_as_a_shell_would() {
        let split = words(r#"redis-server --save "" --port {port:redis} 'a b' c\ d"#).unwrap();
        let wanted = [
            "redis-server",
            "--save",
            "",
            "--port",
            "{port:redis}",
            "a b",
            "c d",
        ];
        assert_eq!(split, wanted);
        assert!(words("say 'what").unwrap_err().0.contains("not closed"));
        assert!(words(" ").unwrap_err().0.contains("empty"));
    }

    #[test]
    fn each_command_has_a_port_of_its_own() {
        let cluster = target(
            &[
                "redis {port:r}",
                "node {port:a} {port:r}",
                "node {port:b} {port:r}",
            ],
            &["ws://h:{port:a}/", "ws://h:{port:b}/?id={id}"],
        );
        cluster.check().unwrap();
        for without in [
            target(&["node"], &[]),
            target(&["a {port}", "b {port}"], &[]),
        ] {
            let said = without.check().unwrap_err().0;
            assert!(
                said.contains("{port}") && said.contains("--start"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_url_asks_for_no_port_that_nobody_has() {
        let lost = target(&["node {port:a}"], &["ws://127.0.0.1:{port:b}/"]);
        let said = lost.check().unwrap_err().0;
        assert!(said.contains("{port:b}"), "{said}");
    }
}
