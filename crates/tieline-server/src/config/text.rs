//! The configuration as text: the file with all defaults, and what is in force.
//!
//! Must not show a secret: values come here as their types show them.

use super::{
    known::{LISTS, TABLES, options},
    option::Opt,
    sections::hub::HubSettings,
    settings::Settings,
    values::{HUB_DEFAULTS, Values, hub_scope, list_scope, path},
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
    // In TOML, lists of tables come last, or what follows would be theirs.
    HEAD.to_owned() + &TABLES.map(table).concat() + &LISTS.map(list).concat()
}

/// A list is empty by default, so that its table is a comment, options and all.
fn list((name, options): (&str, &[Opt])) -> String {
    let options = options.iter().map(default_option).collect::<String>();
    format!("\n[[{name}]]\n{options}")
        .lines()
        .fold(String::new(), |text, line| match line {
            "" => text + "\n",
            line => text + "# " + line.trim_start_matches("# ").trim_start_matches('#') + "\n",
        })
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
    match option.without {
        "" => {}
        "required" => lines.extend(comment("Required.")),
        without => lines.extend(comment(&format!("Without a value: {without}."))),
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
    let all = options().map(|option| line(option, values, None));
    let lists = values.lists.iter().flat_map(|(list, (options, count))| {
        let scopes = (0..*count).map(move |index| list_scope(list, index));
        scopes.map(|scope| set_in(&scope, options, values))
    });
    let hubs = settings.hubs.names().map(|hub| hub_scope(hub.as_str()));
    let hubs = hubs.map(|scope| set_in(&scope, HubSettings::OPTIONS, values));
    all.chain(hubs).chain(lists).collect()
}

/// What is set of a table of which there are several.
fn set_in(scope: &str, options: &'static [Opt], values: &Values) -> String {
    let set = options
        .iter()
        .filter(|option| values.shown(option, Some(scope)).is_some());
    set.map(|option| line(option, values, Some(scope)))
        .collect()
}

fn line(option: &Opt, values: &Values, scope: Option<&str>) -> String {
    let path = path(option, scope);
    let (value, source) = match values.shown(option, scope) {
        Some((shown, source)) => (shown.to_owned(), source.to_string()),
        None if option.without.is_empty() => ((option.default)(), "default".into()),
        None => ((option.default)(), format!("default: {}", option.without)),
    };
    format!("{:<55} # {source}\n", format!("{path} = {value}"))
}
