//! A baseline as the target of a measurement.
//!
//! Owns the command of the baseline server, and how a plan is adapted to its message format. Another server
//! gets the plan as it is. Must not start anything.

use crate::{
    affinity::CpuList,
    plan::{FlowPlan, Plan, RequestPlan, Scenario, Wire},
    target::Target,
};

/// The status of the baseline of requests.
const FLOOR_STATUS: u16 = 202;

/// The baseline of a comparison.
#[derive(Debug)]
pub(crate) enum Baseline {
    /// The baseline server, on the given CPUs or any.
    Floor { cpu: Option<CpuList> },
    /// Another server.
    Server {
        target: Target,
        format: BaselineFormat,
    },
}

/// How the load of another server differs from that of the measured one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BaselineFormat {
    /// The wire, if it is set, with its default messages.
    pub(crate) wire: Option<Wire>,
    /// The template of the message.
    pub(crate) send: Option<String>,
    /// The templates of the messages on opening, if there are any.
    pub(crate) on_open: Vec<String>,
}

impl Baseline {
    /// The target, and the plan in its message format.
    pub(crate) fn target_and_plan(&self, plan: &Plan) -> (Target, Plan) {
        match self {
            Self::Server { target, format } => (target.clone(), format.apply(plan)),
            Self::Floor { cpu } => {
                let target = floor_target(plan.scenario, cpu.clone());
                match plan.scenario {
                    // The same requests, so that reading them costs the same.
                    Scenario::Rest => (target, without_receivers(plan)),
                    _ => (target, in_wire(plan, Wire::Bare)),
                }
            }
        }
    }
}

impl BaselineFormat {
    fn apply(&self, plan: &Plan) -> Plan {
        let mut plan = match self.wire {
            Some(wire) => in_wire(plan, wire),
            None => plan.clone(),
        };
        if let Some(send) = &self.send {
            plan.send.clone_from(send);
        }
        if !self.on_open.is_empty() {
            plan.on_open.clone_from(&self.on_open);
        }
        plan
    }
}

/// The baseline server, which this program runs.
fn floor_target(scenario: Scenario, cpu: Option<CpuList>) -> Target {
    let program = std::env::current_exe().unwrap_or_else(|_| "tieline".into());
    let program = program.to_string_lossy();
    let program = shlex::try_quote(&program).unwrap_or_else(|_| "tieline".into());
    let path = Wire::Bare.url_path(scenario);
    let (command, scheme) = match scenario {
        Scenario::Rest => ("http-floor", "http"),
        _ => ("floor", "ws"),
    };
    Target {
        commands: vec![format!(
            "{program} bench {command} --listen 127.0.0.1:{{port}}"
        )],
        cpu,
        urls: vec![format!("{scheme}://127.0.0.1:{{port}}{path}")],
        receiver_url: None,
        pids: Vec::new(),
    }
}

/// The same requests, which nobody receives, and which the baseline answers with its own status.
fn without_receivers(plan: &Plan) -> Plan {
    let request = plan.request.as_ref().map(|request| RequestPlan {
        status: FLOOR_STATUS,
        ..request.clone()
    });
    Plan {
        request,
        // The wire says how requests are signed.
        wire: match plan.wire {
            Wire::Pusher => Wire::Pusher,
            Wire::Bare | Wire::Json => Wire::Bare,
        },
        subprotocol: None,
        ..plan.clone()
    }
}

/// The same load with the default messages of another wire, and without what only the measured server knows.
fn in_wire(plan: &Plan, wire: Wire) -> Plan {
    let broadcast = plan.broadcast.as_ref().map(|flow| FlowPlan {
        send: wire.broadcast_template(plan.binary),
        ..flow.clone()
    });
    Plan {
        send: wire.send_template(plan.scenario, plan.binary),
        on_open: wire.on_open_templates(plan.scenario),
        broadcast,
        wire,
        subprotocol: wire.subprotocol().map(str::to_owned),
        headers: Vec::new(),
        token_key: None,
        ..plan.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_baseline_server_gets_the_load_in_its_format() {
        let mut plan = sample::plan();
        plan.send = "{\"to\":\"{payload}\"}".into();
        plan.headers = vec!["X-Key: 1".into()];
        plan.size = 500;
        let (target, load) = Baseline::Floor { cpu: None }.target_and_plan(&plan);
        assert_eq!((load.send.as_str(), load.size), ("{payload}", 500));
        assert!(load.headers.is_empty());
        assert_eq!(target.urls, ["ws://127.0.0.1:{port}/echo"]);
        target.check().unwrap();
    }

    #[test]
    fn requests_to_the_baseline_are_the_same() {
        let mut plan = sample::plan();
        plan.scenario = Scenario::Rest;
        plan.headers = vec!["X-Key: 1".into()];
        let (target, load) = Baseline::Floor { cpu: None }.target_and_plan(&plan);
        assert_eq!(load, plan);
        assert!(target.commands[0].contains("bench http-floor"));
        assert!(target.urls[0].starts_with("http://"));
    }

    #[test]
    fn a_baseline_may_have_another_wire_and_other_messages() {
        let mut plan = sample::plan();
        plan.scenario = Scenario::Broadcast;
        plan.token_key = Some("key".into());
        let plan = in_wire(&plan, Wire::Json);
        assert_eq!(plan.subprotocol.as_deref(), Some("json.webpubsub.azure.v1"));
        let load = |format: BaselineFormat| format.apply(&plan);
        assert_eq!(load(BaselineFormat::default()), plan);
        let bare = load(BaselineFormat {
            wire: Some(Wire::Bare),
            ..BaselineFormat::default()
        });
        assert_eq!((bare.send.as_str(), bare.subprotocol), ("B{payload}", None));
        assert!(bare.on_open.is_empty());
        let group = load(BaselineFormat {
            wire: Some(Wire::Bare),
            send: Some("G:all:{payload}".into()),
            on_open: vec!["J:all".into()],
        });
        assert_eq!(
            (group.send.as_str(), group.on_open),
            ("G:all:{payload}", vec!["J:all".to_owned()])
        );
    }
}
