//! What limits must satisfy together.
//!
//! Owns the checks of those of the node against each other, and of those of hubs against them.

use tieline::Config;

use crate::{
    app::limits::HubLimits,
    config::{error::ConfigErrors, names, settings::Settings, values::Values},
};

/// The limits of the node and of hubs, as far as one must fit another.
pub(super) fn check_limits(
    settings: &Settings,
    config: &Config,
    values: &Values,
    errors: &mut ConfigErrors,
) {
    let problems = config.problems();
    for problem in &problems {
        errors.add(names::settings_as_set(&problem.to_string(), values));
    }
    // Those of the node, which hubs have too: said once.
    let are_rates_wrong = problems.iter().any(|problem| {
        let text = problem.to_string();
        text.starts_with("inbound.")
    });
    if settings.hubs.iter().next().is_none() {
        errors
            .add("`only_listed_hubs` is true, but no hub has a table: add one, such as [hub.chat]");
    }
    let (node, time) = (&settings.limits, settings.times.message_timeout);
    for (hub, own) in settings.hubs.iter() {
        let whose = hub.map_or_else(|| "`[hub_defaults]`".into(), |hub| format!("`[hub.{hub}]`"));
        if own
            .max_message
            .is_some_and(|size| size.0 > node.max_message.0)
        {
            errors.add(format!(
                "`max_message` of {whose} is more than `limits.max_message`: raise that, or lower it"
            ));
        }
        if are_rates_wrong {
            continue;
        }
        let (largest, limits) = (node.max_message.0, HubLimits::new(node, own));
        if let Err(scope) = limits.check(largest, time) {
            errors.add(format!(
                "the bytes per second of one {} of {whose} are too few for the largest message: it takes more than \
                 `times.message_timeout`; raise the rate, or lower `max_message`",
                scope.name()
            ));
        }
        if own.has_zero_rate() || node.has_zero_rate() {
            errors.add(format!(
                "a rate of {whose} or `[limits]` is zero: leave it out, or raise it"
            ));
        }
    }
}
