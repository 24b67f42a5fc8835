//! What the bare server, and the example `yardstick`, expect for each scenario.

use crate::plan::Scenario;

/// What the bare server understands, and the examples' yardstick.
pub(crate) fn send_template(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Broadcast => "B{payload}",
        Scenario::Direct => "T:{to}:{payload}",
        Scenario::Idle | Scenario::Echo | Scenario::Storm | Scenario::Churn => "{payload}",
    }
}

/// Where the bare server takes this scenario.
pub(crate) fn url_path(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Echo => "/echo",
        _ => "/ws?id={id}",
    }
}
