//! The configuration as text: the file with all defaults, and what is in force.
//!
//! Must not show a secret: values come here as their types show them.

use super::{
    known::{TABLES, options},
    option::Opt,
    sections::hub::HubSettings,
    settings::Settings,
    values::{HUB_DEFAULTS, Values},
};

/// Longest line of a comment.
const WIDTH: usize = 100;

const HEAD: &str = "\
# The configuration of `tieline serve`: every option with its default, commented out.
#
# Environment variables go over this file, and flags over both. Durations have a unit (ms, s, m, h, d), sizes
# may have one (KiB, MiB, GiB). An empty string is no value. Relative paths are relative to this file's folder.
";

const HUBS: &str = "
# A hub can have a table of its own, which goes over [hub_defaults] option by option:
#
# [hub.chat]
# origins = [\"https://example.org\"]
";

/// The whole file.
pub(crate) fn default_file() -> String {
    let table = |(name, options): (&str, &[Opt])| {
        let head = match name {
            "" => String::new(),
            name => format!("\n[{name}]\n"),
        };
        let after = if name == HUB_DEFAULTS { HUBS } else { "" };
        let options = options.iter().map(default_option).collect::<String>();
        [&head, &options, after].concat()
    };
    HEAD.to_owned() + &TABLES.map(table).concat()
}

fn default_option(option: &Opt) -> String {
    let mut prose = format!("{} {}", option.sentence, option.cost);
    if option.live {
        prose += " SIGHUP applies a change.";
    }
    let mut lines = comment(&prose);
    if option.kind.is_secret {
        lines.extend(comment(&format!("Written as {}.", option.kind.expected)));
    }
    if !option.without.is_empty() {
        lines.extend(comment(&format!("Without a value: {}.", option.without)));
    }
    let (name, default) = (option.name, (option.default)());
    format!("\n{}\n#{name} = {default}\n", lines.join("\n"))
}

/// The lines of a comment.
fn comment(prose: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = "#".to_owned();
    for word in prose.split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDTH {
            lines.push(std::mem::replace(&mut line, "#".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// What is in force, and from where.
pub(crate) fn in_force(settings: &Settings, values: &Values) -> String {
    let all = options().map(|option| line(&option.path(), option, values, None));
    let hubs = settings.listed_hubs().flat_map(|hub| {
        let set = HubSettings::OPTIONS.iter();
        let set = set.filter(move |option| values.shown(option, Some(hub)).is_some());
        set.map(move |option| {
            line(
                &format!("hub.{hub}.{}", option.name),
                option,
                values,
                Some(hub),
            )
        })
    });
    all.chain(hubs).collect()
}

fn line(path: &str, option: &Opt, values: &Values, hub: Option<&str>) -> String {
    let (value, source) = match values.shown(option, hub) {
        Some((shown, source)) => (shown.to_owned(), source.to_string()),
        None if option.without.is_empty() => ((option.default)(), "default".into()),
        None => ((option.default)(), format!("default: {}", option.without)),
    };
    format!("{:<55} # {source}\n", format!("{path} = {value}"))
}
