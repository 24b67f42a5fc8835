//! A baseline as the target of a measurement.

use super::protocol;
use crate::{
    plan::{Plan, Scenario},
    target::Target,
};

/// Whom the server is compared with.
#[derive(Debug)]
pub(crate) enum Baseline {
    /// The bare server, on a processor if one is given.
    Floor { cpu: Option<usize> },
    /// Another server, which takes the load as it is.
    Given(Target),
}

impl Baseline {
    /// The target, and the load in its words.
    pub(crate) fn against(&self, plan: &Plan) -> (Target, Plan) {
        match self {
            Self::Given(target) => (target.clone(), plan.clone()),
            Self::Floor { cpu } => (floor(plan.scenario, *cpu), in_plain_words(plan)),
        }
    }
}

/// The bare server, which is this same program.
fn floor(scenario: Scenario, cpu: Option<usize>) -> Target {
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

/// The same load as the bare server understands it.
fn in_plain_words(plan: &Plan) -> Plan {
    Plan {
        send: protocol::send_template(plan.scenario).to_owned(),
        hello: Vec::new(),
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
    fn the_bare_server_gets_the_load_in_its_own_words() {
        let mut plan = sample::plan();
        plan.send = "{\"to\":\"{payload}\"}".into();
        plan.headers = vec!["X-Key: 1".into()];
        plan.size = 500;
        let (target, load) = Baseline::Floor { cpu: Some(1) }.against(&plan);
        assert_eq!((load.send.as_str(), load.size), ("{payload}", 500));
        assert!(load.headers.is_empty());
        assert_eq!(target.urls, ["ws://127.0.0.1:{port}/echo"]);
        target.check().unwrap();
    }
}
