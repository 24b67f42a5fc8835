//! The server under test: a running one, or one that is started for the measurement.
//!
//! Owns the started processes. Must not know scenarios. Invariant: no started process, and none of its
//! process group, outlives its [`RunningTarget`]. If this process is killed by a signal, only the
//! processes that it started end, not their children.

pub(crate) mod launch;
mod ports;
mod process;

use anyhow::Context;

use self::{ports::Ports, process::Process};
use crate::{
    affinity::CpuList,
    plan::{Plan, RequestPlan},
    usage::Usage,
};

/// The server under test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// The commands that start it, in order; empty for a running server.
    pub(crate) commands: Vec<String>,
    /// The CPUs for started processes; `None` means any.
    pub(crate) cpu: Option<CpuList>,
    /// The URLs, with placeholders for ports.
    pub(crate) urls: Vec<String>,
    /// The URL of those who receive what requests send, with placeholders for ports.
    pub(crate) receiver_url: Option<String>,
    /// Running processes to measure as well.
    pub(crate) pids: Vec<u32>,
}

/// A target that accepts connections. Dropping it ends the started processes.
#[derive(Debug)]
pub(crate) struct RunningTarget {
    urls: Vec<String>,
    receiver_url: Option<String>,
    pids: Vec<u32>,
    processes: Vec<Process>,
}

impl Target {
    /// Checks commands and URLs.
    pub(crate) fn check(&self) -> Result<(), Usage> {
        let mut known = Vec::new();
        for command in &self.commands {
            split_command(command)?;
            let names = ports::names(command);
            let own = names.iter().any(|name| !known.contains(name));
            if !own {
                return Err(Usage(format!(
                    "cannot detect when {command:?} is ready: pass it a free port as {{port}}, or \
                     {{port:NAME}} if there are several, such as --start 'server --listen 127.0.0.1:{{port}}'"
                )));
            }
            known.extend(names);
        }
        let mut urls = self.urls.iter().chain(&self.receiver_url);
        urls.try_for_each(|url| check_url(url, &known))
    }

    /// The plan aimed at sample ports, to validate it before the ports are known.
    pub(crate) fn sample(&self, plan: &Plan) -> Plan {
        let fill = |url: &String| ports::with_sample_port(url);
        let urls = self.urls.iter().map(fill).collect();
        aim(plan, urls, self.receiver_url.as_ref().map(fill))
    }

    /// Runs each command once the one before accepts connections.
    pub(crate) fn start(&self) -> anyhow::Result<RunningTarget> {
        let mut ports = Ports::default();
        let mut running = RunningTarget {
            urls: Vec::new(),
            receiver_url: None,
            pids: self.pids.clone(),
            processes: Vec::new(),
        };
        for command in &self.commands {
            let own = ports.choose(command)?;
            let split = split_command(command)?;
            let split = split.iter().map(|word| ports.fill(word));
            let mut process = Process::start(split.collect(), self.cpu.as_ref())
                .with_context(|| format!("cannot start {command:?}"))?;
            running.pids.push(process.id());
            let listens = process.await_ports(&own);
            running.processes.push(process);
            listens?;
        }
        let fill = |url: &String| ports.fill(url);
        running.urls = self.urls.iter().map(fill).collect();
        running.receiver_url = self.receiver_url.as_ref().map(fill);
        Ok(running)
    }
}

impl RunningTarget {
    /// The plan, aimed at this target.
    pub(crate) fn aim(&self, plan: &Plan) -> Plan {
        let aimed = aim(plan, self.urls.clone(), self.receiver_url.clone());
        Plan {
            pids: self.pids.clone(),
            ..aimed
        }
    }

    /// The message about a started process that has exited.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.processes.iter_mut().find_map(Process::ended)
    }
}

impl Drop for RunningTarget {
    /// Ends the last one first: it may need the others to shut down in order.
    fn drop(&mut self) {
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
    }
}

/// The plan with other URLs. A baseline may have no receivers.
fn aim(plan: &Plan, urls: Vec<String>, receiver_url: Option<String>) -> Plan {
    let request = plan.request.as_ref().map(|request| RequestPlan {
        receiver_url,
        ..request.clone()
    });
    Plan {
        urls,
        request,
        ..plan.clone()
    }
}

/// The arguments of a command, split like a shell does.
fn split_command(command: &str) -> Result<Vec<String>, Usage> {
    let split = shlex::split(command).ok_or_else(|| {
        Usage(format!(
            "the command {command:?} has a quote that is not closed, or ends with a backslash"
        ))
    })?;
    if split.is_empty() {
        return Err(Usage("the command of --start is empty".into()));
    }
    Ok(split)
}

fn check_url(url: &str, known: &[String]) -> Result<(), Usage> {
    let names = ports::names(url);
    match names.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Usage(format!(
            "the URL {url:?} uses the port {}, which no --start command has",
            ports::placeholder(name)
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
        let split =
            split_command(r#"redis-server --save "" --port {port:redis} 'a b' c\ d"#).unwrap();
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
        assert!(
            split_command("say 'what")
                .unwrap_err()
                .0
                .contains("not closed")
        );
        assert!(split_command(" ").unwrap_err().0.contains("empty"));
    }

    #[test]
    fn each_command_needs_a_new_port() {
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
    fn a_url_with_an_unknown_port_is_refused() {
        let lost = target(&["node {port:a}"], &["ws://127.0.0.1:{port:b}/"]);
        let said = lost.check().unwrap_err().0;
        assert!(said.contains("{port:b}"), "{said}");
    }

    #[test]
    fn the_receivers_of_a_plan_are_those_of_the_target() {
        let mut plan = crate::sample::plan();
        plan.request = Some(RequestPlan {
            content_type: "text/plain".into(),
            status: 202,
            receiver_url: Some("ws://h:{port}/".into()),
        });
        let mut server = target(&["node {port}"], &["http://h:{port}/"]);
        assert_eq!(server.sample(&plan).receiver_url(), None);
        server.receiver_url = Some("ws://h:{port}/{id}".into());
        server.check().unwrap();
        let sample = server.sample(&plan);
        assert_eq!(sample.receiver_url().unwrap(), "ws://h:65535/{id}");
        server.receiver_url = Some("ws://h:{port:other}/".into());
        assert!(server.check().unwrap_err().0.contains("{port:other}"));
    }
}
