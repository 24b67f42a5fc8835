//! A baseline as the target of a measurement.
//!
//! Owns the command of the baseline server, and how a plan is adapted to its message format. Another server
//! gets the plan as it is. Must not start anything.

use super::protocol;
use crate::{
    affinity::CpuList,
    plan::{FlowPlan, Plan, Scenario},
    target::Target,
};

/// The baseline of a comparison.
#[derive(Debug)]
pub(crate) enum Baseline {
    /// The baseline server, on the given CPUs or any.
    Floor { cpu: Option<CpuList> },
    /// Another server, which gets the same load.
    Server(Target),
}

impl Baseline {
    /// The target, and the plan in its message format.
    pub(crate) fn target_and_plan(&self, plan: &Plan) -> (Target, Plan) {
        match self {
            Self::Server(target) => (target.clone(), plan.clone()),
            Self::Floor { cpu } => (
                floor_target(plan.scenario, cpu.clone()),
                baseline_server_plan(plan),
            ),
        }
    }
}

/// The baseline server, which this program runs.
fn floor_target(scenario: Scenario, cpu: Option<CpuList>) -> Target {
    let program = std::env::current_exe().unwrap_or_else(|_| "tieline".into());
    let program = program.to_string_lossy();
    let program = shlex::try_quote(&program).unwrap_or_else(|_| "tieline".into());
    let path = protocol::url_path(scenario);
    Target {
        commands: vec![format!("{program} bench floor --listen 127.0.0.1:{{port}}")],
        cpu,
        urls: vec![format!("ws://127.0.0.1:{{port}}{path}")],
        pids: Vec::new(),
    }
}

/// The same load in the message format of the baseline server.
fn baseline_server_plan(plan: &Plan) -> Plan {
    let broadcast = plan.broadcast.as_ref().map(|flow| FlowPlan {
        send: protocol::BROADCAST.to_owned(),
        ..flow.clone()
    });
    Plan {
        send: protocol::send_template(plan.scenario).to_owned(),
        on_open: protocol::on_open_templates(plan.scenario),
        broadcast,
        subprotocol: None,
        headers: Vec::new(),
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
}
