//! What a command line means: a plan, and whom it is for.

use super::{
    args::{Base, Comparing, Extent, Load, Messages, Output, Pace, Server},
    parse::Rate,
};
use crate::{
    baseline::{Baseline, protocol},
    plan::{self, Plan, Scenario},
    process_stats, run,
    target::Target,
    usage::Usage,
};

/// A load, whatever its scenario.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) scenario: Scenario,
    server: Server,
    extent: Extent,
    messages: Messages,
    in_flight: Option<u32>,
    rounds: u32,
    pub(super) rate: Option<Rate>,
    pub(super) target: Target,
}

impl Intent {
    pub(super) fn new(load: Load) -> Result<(Self, Output), Usage> {
        let (pace, messages) = (Pace::default(), Messages::default());
        let (scenario, base, pace, messages, rounds) = match load {
            Load::Idle { base } => (Scenario::Idle, base, pace, messages, 1),
            Load::Storm { base, rounds, .. } => (Scenario::Storm, base, pace, messages, rounds),
            Load::Churn { base, pace } => (Scenario::Churn, base, pace, messages, 1),
            Load::Echo {
                base,
                pace,
                messages,
            } => (Scenario::Echo, base, pace, messages, 1),
            Load::Broadcast {
                base,
                pace,
                messages,
            } => (Scenario::Broadcast, base, pace, messages, 1),
            Load::Direct {
                base,
                pace,
                messages,
            } => (Scenario::Direct, base, pace, messages, 1),
        };
        let Base {
            server,
            extent,
            output,
        } = base;
        let target = Target {
            commands: server.commands.clone(),
            cpu: server.on_cpu,
            urls: server.urls.clone(),
            pids: server.pids.clone(),
        };
        let intent = Self {
            scenario,
            server,
            extent,
            messages,
            in_flight: pace.in_flight,
            rounds,
            rate: pace.rate,
            target,
        };
        intent.check()?;
        Ok((intent, output))
    }

    fn check(&self) -> Result<(), Usage> {
        if self.server.urls.is_empty() {
            return Err(Usage(no_url(self.scenario, &self.server.commands)));
        }
        if self.server.on_cpu.is_some() && self.server.commands.is_empty() {
            let why =
                "--server-cpu is for servers that --start starts; a running one is where it is";
            return Err(Usage(why.into()));
        }
        let is_gone = |pid: &&u32| !process_stats::exists(**pid);
        if let Some(pid) = self.server.pids.iter().find(is_gone) {
            return Err(Usage(format!("--pid {pid}: there is no such process")));
        }
        let connections = self.connections();
        if self.scenario == Scenario::Direct && !connections.is_multiple_of(2) {
            return Err(Usage(format!(
                "direct needs pairs: {connections} connections leave one alone; give --connections {}",
                connections + 1
            )));
        }
        self.target.check()
    }

    fn connections(&self) -> usize {
        let many = matches!(self.scenario, Scenario::Idle | Scenario::Storm);
        let default = if many { 1_000 } else { 100 };
        self.extent.connections.unwrap_or(default)
    }

    /// The plan; where its URLs lead is not known before the target runs.
    pub(super) fn plan(&self) -> Result<Plan, Usage> {
        let (server, extent, messages) = (&self.server, &self.extent, &self.messages);
        let default = protocol::send_template(self.scenario).to_owned();
        let plan = Plan {
            scenario: self.scenario,
            urls: server.urls.clone(),
            connections: self.connections(),
            pace: match self.rate {
                Some(Rate::PerSecond(rate)) => plan::Pace::PerSecond(rate),
                Some(Rate::Half) | None => plan::Pace::InFlight(self.in_flight.unwrap_or(1)),
            },
            send: messages.send.clone().unwrap_or(default),
            hello: server.hello.clone(),
            size: messages.size,
            binary: messages.binary,
            subprotocol: server.subprotocol.clone(),
            headers: server.headers.clone(),
            insecure: server.insecure,
            warm_up: extent.warm_up,
            duration: extent.duration,
            rounds: self.rounds,
            dialing: extent.dialing,
            processes: extent.processes,
            cpu: extent.cpu,
            pids: server.pids.clone(),
        };
        let likely = Plan {
            urls: self.target.likely_urls(),
            ..plan.clone()
        };
        likely
            .validate()
            .and_then(|()| run::check_processes(&likely))
            .map_err(|error| Usage(error.to_string()))?;
        Ok(plan)
    }
}

impl Comparing {
    /// Whom the server is compared with.
    pub(super) fn base(&self, intent: &Intent) -> Result<Baseline, Usage> {
        let cpu = intent.target.cpu;
        if self.base_urls.is_empty() {
            if !self.base_commands.is_empty() {
                let why = "--base-start starts a base, but --base-url does not say where it is";
                return Err(Usage(why.into()));
            }
            return Ok(Baseline::Floor { cpu });
        }
        let target = Target {
            commands: self.base_commands.clone(),
            cpu,
            urls: self.base_urls.clone(),
            pids: Vec::new(),
        };
        target.check()?;
        Ok(Baseline::Given(target))
    }
}

fn no_url(scenario: Scenario, commands: &[String]) -> String {
    let path = protocol::url_path(scenario);
    if commands.is_empty() {
        return format!(
            "say which server: --url 'ws://127.0.0.1:9201{path}' for one that runs, or start one with \
             --start 'SERVER --listen 127.0.0.1:{{port}}' --url 'ws://127.0.0.1:{{port}}{path}'"
        );
    }
    format!("say where the started server is, as in --url 'ws://127.0.0.1:{{port}}{path}'")
}
