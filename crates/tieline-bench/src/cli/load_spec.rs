//! What the flags mean: a plan and its target.
//!
//! Owns the defaults of each scenario, and the checks of flags against each other. Must not start
//! anything. Invariant: a plan that leaves this module is valid, except that ports in its URLs may still
//! be placeholders.

use super::{
    args::{
        BroadcastArgs, CommonArgs, CompareArgs, LoadArgs, LoadCommand, MessageArgs, OutputArgs,
        PaceArgs, RequestArgs, RoomArgs, SendArgs, ServerArgs, SocketArgs,
    },
    parse::{self, Rate},
};
use crate::{
    baseline::{Baseline, BaselineFormat},
    plan::{FlowPlan, Pacing, Plan, RequestPlan, Scenario, Wire},
    process_stats, run,
    target::Target,
    token::Signer,
    url::Scheme,
    usage::Usage,
};

/// A load, with the defaults of its scenario filled in.
#[derive(Debug)]
pub(super) struct LoadSpec {
    pub(super) scenario: Scenario,
    server: ServerArgs,
    socket: SocketArgs,
    wire: Wire,
    load: LoadArgs,
    own: OwnArgs,
    pub(super) rate: Option<Rate>,
    pub(super) target: Target,
}

/// The flags that only some scenarios have.
#[derive(Debug, Default)]
struct OwnArgs {
    pace: PaceArgs,
    messages: MessageArgs,
    rounds: u32,
    rooms: RoomArgs,
    broadcast: BroadcastArgs,
    request: Option<RequestArgs>,
}

impl LoadSpec {
    pub(super) fn new(load: LoadCommand) -> Result<(Self, OutputArgs), Usage> {
        let scenario = scenario(&load);
        let (common, own) = split(load);
        let CommonArgs {
            server,
            socket,
            load,
            output,
        } = common;
        let target = Target {
            commands: server.commands.clone(),
            cpu: server.on_cpu.clone(),
            urls: server.urls.clone(),
            receiver_url: own
                .request
                .as_ref()
                .and_then(|own| own.receiver_url.clone()),
            pids: server.pids.clone(),
        };
        let spec = Self {
            scenario,
            server,
            wire: socket.wire.unwrap_or_default(),
            socket,
            load,
            rate: own.pace.rate,
            own,
            target,
        };
        spec.check()?;
        Ok((spec, output))
    }

    fn check(&self) -> Result<(), Usage> {
        if self.server.urls.is_empty() {
            let path = self.wire.url_path(self.scenario);
            return Err(Usage(no_url(self.scheme(), path, &self.server.commands)));
        }
        check_urls("--url", &self.server.urls, self.scheme())?;
        if self.server.on_cpu.is_some() && self.server.commands.is_empty() {
            let why = "--server-cpu needs --start; it cannot move a running server";
            return Err(Usage(why.into()));
        }
        let is_gone = |pid: &&u32| !process_stats::exists(**pid);
        if let Some(pid) = self.server.pids.iter().find(is_gone) {
            return Err(Usage(format!("--pid {pid}: no such process")));
        }
        if let Some(path) = &self.server.token_key {
            Signer::open(path).map_err(|e| Usage(format!("--token-key: {e:#}")))?;
        }
        let receiver_url = self.target.receiver_url.as_slice();
        check_urls("--receiver-url", receiver_url, Scheme::WebSocket)?;
        if self.scenario == Scenario::Rest && self.own.messages.binary {
            let why = "rest sends a body of --content-type; remove --binary";
            return Err(Usage(why.into()));
        }
        let connections = self.connections();
        let pairs = matches!(self.scenario, Scenario::Direct | Scenario::Mixed);
        if pairs && !connections.is_multiple_of(2) {
            return Err(Usage(format!(
                "{} needs pairs, and {connections} connections leave one over; use --connections {}",
                if self.scenario == Scenario::Mixed {
                    "mixed"
                } else {
                    "direct"
                },
                connections + 1
            )));
        }
        self.target.check()
    }

    fn scheme(&self) -> Scheme {
        match self.scenario {
            Scenario::Rest => Scheme::Http,
            _ => Scheme::WebSocket,
        }
    }

    fn connections(&self) -> usize {
        let default = match self.scenario {
            Scenario::Idle | Scenario::Storm => 1_000,
            Scenario::Rooms => 800,
            _ => 100,
        };
        self.load.connections.unwrap_or(default)
    }

    fn send(&self) -> String {
        let MessageArgs { send, binary, .. } = &self.own.messages;
        let default = || self.wire.send_template(self.scenario, *binary);
        send.clone().unwrap_or_else(default)
    }

    fn broadcast(&self) -> FlowPlan {
        let own = &self.own.broadcast;
        FlowPlan {
            pace: match own.rate {
                Some(rate) => Pacing::PerSecond(rate),
                None => Pacing::InFlight(own.in_flight.unwrap_or(1)),
            },
            send: own.send.clone().unwrap_or_else(|| {
                let binary = self.own.messages.binary;
                self.wire.broadcast_template(binary)
            }),
        }
    }

    /// The default is for a server that knows the default message. Another one is told how to join by
    /// --on-open or its URL. The body of a request says nothing about its receiver.
    fn on_open(&self) -> Vec<String> {
        let given = &self.socket.on_open;
        let is_default = self.own.messages.send.is_none() || self.scenario == Scenario::Rest;
        if given.is_empty() && is_default {
            return self.wire.on_open_templates(self.scenario);
        }
        given.clone()
    }

    fn subprotocol(&self) -> Option<String> {
        let own = self.wire.subprotocol().map(str::to_owned);
        self.socket.subprotocol.clone().or(own)
    }

    fn request(&self) -> Option<RequestPlan> {
        let request = self.own.request.as_ref()?;
        Some(RequestPlan {
            content_type: request.content_type.clone(),
            status: request.status,
            receiver_url: request.receiver_url.clone(),
        })
    }

    /// The plan. Ports in its URLs are filled in when the target has started.
    pub(super) fn plan(&self) -> Result<Plan, Usage> {
        let (server, load, own) = (&self.server, &self.load, &self.own);
        let messages = &own.messages;
        let plan = Plan {
            scenario: self.scenario,
            urls: server.urls.clone(),
            connections: self.connections(),
            pace: match self.rate {
                Some(Rate::PerSecond(rate)) => Pacing::PerSecond(rate),
                Some(Rate::Half) | None => Pacing::InFlight(own.pace.in_flight.unwrap_or(1)),
            },
            send: self.send(),
            on_open: self.on_open(),
            size: messages.size,
            binary: messages.binary,
            wire: self.wire,
            token_key: server.token_key.clone(),
            request: self.request(),
            subprotocol: self.subprotocol(),
            headers: server.headers.clone(),
            insecure: server.insecure,
            warm_up: load.warm_up,
            duration: load.duration,
            rounds: own.rounds,
            room: own.rooms.room,
            senders: own.rooms.senders.unwrap_or(own.rooms.room),
            broadcast: (self.scenario == Scenario::Mixed).then(|| self.broadcast()),
            dialing: load.dialing,
            processes: load.processes,
            cpu: load.cpu.clone(),
            pids: server.pids.clone(),
        };
        let sample = self.target.sample(&plan);
        sample
            .validate()
            .and_then(|()| run::check_processes(&sample))
            .map_err(|error| Usage(error.to_string()))?;
        Ok(plan)
    }
}

impl CompareArgs {
    /// The baseline of the comparison of this plan.
    pub(super) fn base(&self, spec: &LoadSpec, plan: &Plan) -> Result<Baseline, Usage> {
        let cpu = spec.target.cpu.clone();
        if self.base_urls.is_empty() {
            let given = [
                ("--base-start", !self.base_commands.is_empty()),
                ("--base-wire", self.base_wire.is_some()),
                ("--base-send", self.base_send.is_some()),
                ("--base-on-open", !self.base_on_open.is_empty()),
            ];
            return match given.iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(Usage(format!(
                    "{flag} needs --base-url, the URL of the baseline"
                ))),
                None => Ok(Baseline::Floor { cpu }),
            };
        }
        check_urls("--base-url", &self.base_urls, spec.scheme())?;
        let format = BaselineFormat {
            wire: self.base_wire,
            send: self.base_send.clone(),
            on_open: self.base_on_open.clone(),
        };
        if spec.scenario == Scenario::Rest && format != BaselineFormat::default() {
            let why = "rest sends the same requests to both: remove --base-wire, --base-send and --base-on-open";
            return Err(Usage(why.into()));
        }
        let target = Target {
            commands: self.base_commands.clone(),
            cpu,
            urls: self.base_urls.clone(),
            receiver_url: spec.target.receiver_url.clone(),
            pids: Vec::new(),
        };
        target.check()?;
        let base = Baseline::Server { target, format };
        let (target, plan) = base.target_and_plan(plan);
        let checked = target.sample(&plan).validate();
        checked.map_err(|error| Usage(format!("the load of the baseline is invalid: {error}")))?;
        Ok(base)
    }
}

fn check_urls(flag: &str, urls: &[String], scheme: Scheme) -> Result<(), Usage> {
    let check = |url: &String| parse::url(url, scheme);
    let checked = urls.iter().try_for_each(check);
    checked.map_err(|why| Usage(format!("{flag}: {why}")))
}

fn scenario(load: &LoadCommand) -> Scenario {
    match load {
        LoadCommand::Idle { .. } => Scenario::Idle,
        LoadCommand::Echo { .. } => Scenario::Echo,
        LoadCommand::Broadcast { .. } => Scenario::Broadcast,
        LoadCommand::Direct { .. } => Scenario::Direct,
        LoadCommand::Mixed { .. } => Scenario::Mixed,
        LoadCommand::Rooms { .. } => Scenario::Rooms,
        LoadCommand::Storm { .. } => Scenario::Storm,
        LoadCommand::Churn { .. } => Scenario::Churn,
        LoadCommand::Rest { .. } => Scenario::Rest,
    }
}

/// The flags of every scenario, and those of this one.
fn split(load: LoadCommand) -> (CommonArgs, OwnArgs) {
    let mut own = OwnArgs::default();
    let mut sending = |sends: SendArgs| {
        (own.pace, own.messages) = (sends.pace, sends.messages);
        sends.common
    };
    let common = match load {
        LoadCommand::Idle { common } => common,
        LoadCommand::Echo { sends }
        | LoadCommand::Broadcast { sends }
        | LoadCommand::Direct { sends } => sending(sends),
        LoadCommand::Mixed { broadcast, sends } => {
            let common = sending(sends);
            own.broadcast = broadcast;
            common
        }
        LoadCommand::Rooms { rooms, sends } => {
            let common = sending(sends);
            own.rooms = rooms;
            common
        }
        LoadCommand::Storm { common, rounds, .. } => {
            own.rounds = rounds;
            common
        }
        LoadCommand::Churn { common, pace } => {
            own.pace = pace;
            common
        }
        LoadCommand::Rest {
            common,
            request,
            pace,
            messages,
        } => {
            (own.pace, own.messages) = (pace, messages);
            common.with_wire(own.request.insert(request).receiver_wire)
        }
    };
    (common, own)
}

fn no_url(scheme: Scheme, path: &str, commands: &[String]) -> String {
    let scheme = match scheme {
        Scheme::WebSocket => "ws",
        Scheme::Http => "http",
    };
    if commands.is_empty() {
        return format!(
            "no server given: use --url '{scheme}://127.0.0.1:9201{path}' for a running server, or start one with \
             --start 'SERVER --listen 127.0.0.1:{{port}}' --url '{scheme}://127.0.0.1:{{port}}{path}'"
        );
    }
    format!("no URL of the started server given: use --url '{scheme}://127.0.0.1:{{port}}{path}'")
}
