//! The message format of the baseline server and of the example `yardstick`.

use crate::plan::Scenario;

/// The template of a broadcast.
pub(super) const BROADCAST: &str = "B{payload}";

/// The template of the message that a scenario sends.
pub(super) fn send_template(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Broadcast => BROADCAST,
        Scenario::Direct | Scenario::Mixed => "T:{to}:{payload}",
        Scenario::Rooms => "G:{room}:{payload}",
        Scenario::Idle | Scenario::Echo | Scenario::Storm | Scenario::Churn | Scenario::Rest => {
            "{payload}"
        }
    }
}

/// The templates of the messages that each connection sends once when it opens.
pub(super) fn on_open_templates(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::Rooms => &["J:{room}"],
        _ => &[],
    }
}

/// Path and query of the URL for a scenario.
pub(super) fn url_path(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Echo => "/echo",
        _ => "/ws?id={id}",
    }
}
