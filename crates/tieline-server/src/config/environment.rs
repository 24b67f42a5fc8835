//! The layer of the environment.
//!
//! Owns which variables are options: `TIELINE_` and the place in the file with `__` between table and
//! key, or the name of the flag. Must not refuse a `TIELINE_` variable without `__` that it does not know: it
//! may hold a secret, and Kubernetes sets such variables for a service of that name.

use super::{
    hub_name::HubName,
    known::{self, file_variable, settable},
    option::{Opt, Raw},
    sections::hub::HubSettings,
    source::{Environment, Source},
    values::{Values, hub_scope},
};

const PREFIX: &str = "TIELINE_";
/// Variables that are no options: those of the command line.
const OTHERS: [&str; 3] = ["TIELINE_ADMIN", "TIELINE_CONFIG", "TIELINE_SECOND"];

/// Adds what is in the environment, for the options that `is_used`.
pub(super) fn add(values: &mut Values, environment: &Environment, is_used: fn(&Opt) -> bool) {
    let ours = environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX));
    for (name, value) in ours {
        match find(name) {
            Some((option, hub, is_file)) if is_used(option) => {
                let raw = if is_file {
                    Raw::secret_file(value.clone())
                } else {
                    Raw::Text(value.clone())
                };
                let source = Source::Environment(name.clone());
                match hub {
                    None => known::set(values, option, raw, source),
                    Some(hub) => {
                        values.set(option, Some(&hub_scope(hub.as_str())), raw, source);
                        values.hubs.insert(hub);
                    }
                }
            }
            Some(_) => {}
            None => unknown(values, name),
        }
    }
    for option in settable().filter(|option| is_used(option)) {
        if let Some(value) = environment.get(option.shared_variable)
            && !matches!(
                values.shown(option, None),
                Some((_, Source::Environment(_)))
            )
        {
            let source = Source::Environment(option.shared_variable.to_owned());
            known::set(values, option, Raw::Text(value.clone()), source);
        }
    }
}

/// The option of a variable, the hub that it is for, and whether it names the file of a secret.
fn find(name: &str) -> Option<(&'static Opt, Option<HubName>, bool)> {
    let named = |option: &&Opt| option.environment() == name || option.nested_environment() == name;
    if let Some(option) = settable().find(named) {
        return Some((option, None, false));
    }
    let of_file = |option: &&Opt| {
        let nested = format!("{}__FILE", option.nested_environment());
        file_variable(option).is_some_and(|file| file == name)
            || option.kind.is_secret && nested == name
    };
    if let Some(option) = settable().find(of_file) {
        return Some((option, None, true));
    }
    let (hub, option) = name.strip_prefix("TIELINE_HUB__")?.rsplit_once("__")?;
    let named = |known: &&Opt| known.name == option.to_ascii_lowercase();
    let option = HubSettings::OPTIONS.iter().find(named)?;
    Some((option, Some(hub.parse().ok()?), false))
}

fn unknown(values: &mut Values, name: &str) {
    if OTHERS.contains(&name) {
        return;
    }
    let near = known::near_variable(name);
    let text = known::with_suggestion(&format!("unknown variable {name}"), near.as_deref());
    if name[PREFIX.len()..].contains("__") {
        values.errors.add(text);
        if let Some((option, None, _)) = near.as_deref().and_then(find) {
            values.refuse(option.path());
        }
    } else if near.is_some() {
        values.warnings.push(text);
    }
}
