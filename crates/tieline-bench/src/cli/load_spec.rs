//! What the flags mean: a plan and its target.
//!
//! Owns the defaults of each scenario, and the checks of flags against each other. Must not start
//! anything. Invariant: a plan that leaves this module is valid, except that ports in its URLs may still
//! be placeholders.

use super::{
    args::{
        CommonArgs, CompareArgs, LoadArgs, LoadCommand, MessageArgs, OutputArgs, PaceArgs,
        ServerArgs,
    },
    parse::Rate,
};
use crate::{
    baseline::{Baseline, protocol},
    plan::{self, Plan, Scenario},
    process_stats, run,
    target::Target,
    usage::Usage,
};

/// A load, with the defaults of its scenario filled in.
#[derive(Debug)]
pub(super) struct LoadSpec {
    pub(super) scenario: Scenario,
    server: ServerArgs,
    load: LoadArgs,
    messages: MessageArgs,
    in_flight: Option<u32>,
    rounds: u32,
    pub(super) rate: Option<Rate>,
    pub(super) target: Target,
}

impl LoadSpec {
    pub(super) fn new(load: LoadCommand) -> Result<(Self, OutputArgs), Usage> {
        let (pace, messages) = (PaceArgs::default(), MessageArgs::default());
        let (scenario, common, pace, messages, rounds) = match load {
            LoadCommand::Idle { common } => (Scenario::Idle, common, pace, messages, 1),
            LoadCommand::Storm { common, rounds, .. } => {
                (Scenario::Storm, common, pace, messages, rounds)
            }
            LoadCommand::Churn { common, pace } => (Scenario::Churn, common, pace, messages, 1),
            LoadCommand::Echo {
                common,
                pace,
                messages,
            } => (Scenario::Echo, common, pace, messages, 1),
            LoadCommand::Broadcast {
                common,
                pace,
                messages,
            } => (Scenario::Broadcast, common, pace, messages, 1),
            LoadCommand::Direct {
                common,
                pace,
                messages,
            } => (Scenario::Direct, common, pace, messages, 1),
        };
        let CommonArgs {
            server,
            load,
            output,
        } = common;
        let target = Target {
            commands: server.commands.clone(),
            cpu: server.on_cpu,
            urls: server.urls.clone(),
            pids: server.pids.clone(),
        };
        let spec = Self {
            scenario,
            server,
            load,
            messages,
            in_flight: pace.in_flight,
            rounds,
            rate: pace.rate,
            target,
        };
        spec.check()?;
        Ok((spec, output))
    }

    fn check(&self) -> Result<(), Usage> {
        if self.server.urls.is_empty() {
            return Err(Usage(no_url(self.scenario, &self.server.commands)));
        }
        if self.server.on_cpu.is_some() && self.server.commands.is_empty() {
            let why = "--server-cpu needs --start; it cannot move a running server";
            return Err(Usage(why.into()));
        }
        let is_gone = |pid: &&u32| !process_stats::exists(**pid);
        if let Some(pid) = self.server.pids.iter().find(is_gone) {
            return Err(Usage(format!("--pid {pid}: no such process")));
        }
        let connections = self.connections();
        if self.scenario == Scenario::Direct && !connections.is_multiple_of(2) {
            return Err(Usage(format!(
                "direct needs pairs, and {connections} connections leave one over; use --connections {}",
                connections + 1
            )));
        }
        self.target.check()
    }

    fn connections(&self) -> usize {
        let many = matches!(self.scenario, Scenario::Idle | Scenario::Storm);
        let default = if many { 1_000 } else { 100 };
        self.load.connections.unwrap_or(default)
    }

    /// The plan. Ports in its URLs are filled in when the target has started.
    pub(super) fn plan(&self) -> Result<Plan, Usage> {
        let (server, load, messages) = (&self.server, &self.load, &self.messages);
        let default = protocol::send_template(self.scenario).to_owned();
        let plan = Plan {
            scenario: self.scenario,
            urls: server.urls.clone(),
            connections: self.connections(),
            pace: match self.rate {
                Some(Rate::PerSecond(rate)) => plan::Pacing::PerSecond(rate),
                Some(Rate::Half) | None => plan::Pacing::InFlight(self.in_flight.unwrap_or(1)),
            },
            send: messages.send.clone().unwrap_or(default),
            on_open: server.on_open.clone(),
            size: messages.size,
            binary: messages.binary,
            subprotocol: server.subprotocol.clone(),
            headers: server.headers.clone(),
            insecure: server.insecure,
            warm_up: load.warm_up,
            duration: load.duration,
            rounds: self.rounds,
            dialing: load.dialing,
            processes: load.processes,
            cpu: load.cpu,
            pids: server.pids.clone(),
        };
        let sample = Plan {
            urls: self.target.sample_urls(),
            ..plan.clone()
        };
        sample
            .validate()
            .and_then(|()| run::check_processes(&sample))
            .map_err(|error| Usage(error.to_string()))?;
        Ok(plan)
    }
}

impl CompareArgs {
    /// The baseline of the comparison.
    pub(super) fn base(&self, spec: &LoadSpec) -> Result<Baseline, Usage> {
        let cpu = spec.target.cpu;
        if self.base_urls.is_empty() {
            if !self.base_commands.is_empty() {
                let why = "--base-start needs --base-url, the URL of the started baseline";
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
        Ok(Baseline::Server(target))
    }
}

fn no_url(scenario: Scenario, commands: &[String]) -> String {
    let path = protocol::url_path(scenario);
    if commands.is_empty() {
        return format!(
            "no server given: use --url 'ws://127.0.0.1:9201{path}' for a running server, or start one with \
             --start 'SERVER --listen 127.0.0.1:{{port}}' --url 'ws://127.0.0.1:{{port}}{path}'"
        );
    }
    format!("no URL of the started server given: use --url 'ws://127.0.0.1:{{port}}{path}'")
}
