//! What limits must satisfy together.
//!
//! Owns the checks of those of the node against each other, and of those of hubs against them.

use tieline::Config;

use crate::{
    app::limits::HubLimits,
    config::{
        error::ConfigErrors,
        names,
        sections::{hub::HubSettings, limits::Limits},
        settings::Settings,
        types::Size,
        values::Values,
    },
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
    if node.has_zero_rate() {
        errors.add("a rate of `[limits]` is zero: leave it out, or raise it");
    }
    for (hub, own) in settings.hubs.iter() {
        let whose = hub.map_or_else(|| "`[hub_defaults]`".into(), |hub| format!("`[hub.{hub}]`"));
        for text in misfits(node, own, &whose) {
            errors.add(text);
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
        if own.has_zero_rate() {
            errors.add(format!(
                "a rate of {whose} is zero: leave it out, or raise it"
            ));
        }
    }
}

/// What is wrong with the sizes of a hub that the node has too.
fn misfits(node: &Limits, own: &HubSettings, whose: &str) -> impl Iterator<Item = String> {
    let bytes = |size: Option<Size<usize>>| size.map(|size| size.0);
    let sizes = [
        ("max_message", bytes(own.max_message), node.max_message.0),
        ("max_outbox", bytes(own.max_outbox), node.max_outbox.0),
        (
            "max_outbox_frames",
            own.max_outbox_frames,
            node.max_outbox_frames,
        ),
    ];
    sizes
        .into_iter()
        .filter_map(move |(name, own, most)| match own {
            Some(0) if name != "max_message" => Some(format!(
                "`{name}` of {whose} is zero: leave it out, or raise it"
            )),
            Some(own) if own > most => Some(format!(
                "`{name}` of {whose} is more than `limits.{name}`: raise that, or lower it"
            )),
            _ => None,
        })
}
