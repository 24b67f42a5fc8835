//! The flags of options, made from their list.
//!
//! Owns how an option looks on the command line and in the help. Must not check values, except words:
//! the configuration does, for all layers alike, and clap would print a secret that it refuses.

use std::{fmt, marker::PhantomData};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, builder::PossibleValuesParser,
};

use crate::config::{
    known::settable,
    option::{Opt, Raw, shout},
    settings::Flag,
};

/// Which options a command has.
pub(super) trait Subset {
    fn has(option: &Opt) -> bool;
}

/// The flags of a command.
pub(crate) struct Flags<S> {
    given: Vec<Flag>,
    subset: PhantomData<S>,
}

impl<S> Flags<S> {
    pub(super) fn given(&self) -> Vec<Flag> {
        self.given.clone()
    }
}

/// Without values, which may be secrets.
impl<S> fmt::Debug for Flags<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.given.iter().map(|flag| &flag.name))
            .finish()
    }
}

impl<S: Subset> Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        settable()
            .filter(|option| S::has(option))
            .fold(command, |command, option| {
                let flag = (!option.flag.is_empty()).then(|| arg(option));
                let file_flag = (!option.file_flag.is_empty()).then(|| file_arg(option));
                command.args(flag).args(file_flag)
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Subset> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for option in settable().filter(|option| S::has(option)) {
            if !option.flag.is_empty()
                && let Some(texts) = matches.get_many::<String>(option.flag)
            {
                let texts: Vec<_> = texts.map(String::as_str).collect();
                let raw = Raw::Text(texts.join(","));
                given.push(flag(option, option.flag, raw));
            }
            let of_file = (!option.file_flag.is_empty()).then_some(option.file_flag);
            if let Some(name) = of_file
                && let Some(path) = matches.get_one::<String>(name)
            {
                given.push(flag(option, name, Raw::secret_file(path.clone())));
            }
        }
        Ok(Self {
            given,
            subset: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(option: &'static Opt, name: &str, raw: Raw) -> Flag {
    let name = format!("--{name}");
    Flag { option, name, raw }
}

fn arg(option: &'static Opt) -> Arg {
    let mut arg = Arg::new(option.flag)
        .long(option.flag)
        .value_name(option.metavar())
        .help(help(option))
        .long_help(long_help(option))
        .help_heading(heading(option));
    if option.kind.is_list {
        arg = arg.action(ArgAction::Append);
    }
    if let Some(bare) = option.kind.bare {
        arg = arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(bare);
    }
    if !option.kind.choices.is_empty() {
        arg = arg.value_parser(PossibleValuesParser::new(option.kind.choices));
    }
    arg
}

fn file_arg(option: &'static Opt) -> Arg {
    let (first, rest) = option.sentence.split_at(1);
    let help = format!(
        "File with the {}{} [env: TIELINE_{}]",
        first.to_lowercase(),
        rest.trim_end_matches('.'),
        shout(option.file_flag)
    );
    Arg::new(option.file_flag)
        .long(option.file_flag)
        .value_name("FILE")
        .help(help)
        .help_heading(heading(option))
}

/// One line.
fn help(option: &Opt) -> String {
    let sentence = option.sentence.trim_end_matches('.');
    format!("{} {}", with_flags(sentence), default(option))
}

fn long_help(option: &Opt) -> String {
    let (sentence, cost) = (with_flags(option.sentence), with_flags(option.cost));
    let (default, variable) = (default(option), option.environment());
    format!(
        "{sentence}\n\n{cost}\n\n{default}\n[file: {}]\n[env: {variable}]",
        option.path()
    )
}

fn default(option: &Opt) -> String {
    let default = match option.without {
        "" => (option.default)(),
        without => with_flags(without),
    };
    format!("[default: {}]", default.trim_matches('"'))
}

/// The texts of options name others by their place in the file.
fn with_flags(text: &str) -> String {
    settable().fold(text.to_owned(), |text, option| {
        let flag = match (option.flag, option.file_flag) {
            ("", "") => return text,
            ("", flag) | (flag, _) => flag,
        };
        text.replace(&format!("`{}`", option.path()), &format!("--{flag}"))
    })
}

fn heading(option: &Opt) -> Option<&'static str> {
    Some(match option.section {
        "keys" => "Tokens",
        "tls" => "TLS",
        "proxy_protocol" | "forwarded" => "Proxies",
        "cluster" => "Cluster",
        "hub_defaults" => "Clients",
        "hub_defaults.event_handlers" => "Event handler",
        "limits" => "Limits",
        "times" => "Times",
        "admin" => "Operators",
        "log" => "Logging",
        _ => return None,
    })
}
