//! The message format of the baseline server and of the example `yardstick`.

use crate::plan::Scenario;

/// The template of a broadcast.
pub(crate) const BROADCAST: &str = "B{payload}";

/// The template of the message that a scenario sends.
pub(crate) fn send_template(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Broadcast => BROADCAST,
        Scenario::Direct | Scenario::Mixed => "T:{to}:{payload}",
        Scenario::Rooms => "G:{room}:{payload}",
        Scenario::Idle | Scenario::Echo | Scenario::Storm | Scenario::Churn => "{payload}",
    }
}

/// The templates of the messages that each connection sends once when it opens.
pub(crate) fn on_open_templates(scenario: Scenario) -> Vec<String> {
    match scenario {
        Scenario::Rooms => vec!["J:{room}".to_owned()],
        _ => Vec::new(),
    }
}

/// Path and query of the URL for a scenario.
pub(crate) fn url_path(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Echo => "/echo",
        _ => "/ws?id={id}",
    }
}
