//! The names that there are: options, tables, variables; and the nearest one to a name that is not.

use super::{
    option::{Opt, Raw, shout},
    sections::{
        admin::AdminSettings,
        aws::Aws,
        cluster::ClusterSettings,
        event_handlers::{DEFAULT_LIST, EventHandlerTable},
        general::General,
        hub::HubSettings,
        issuers::IssuerTable,
        keys::Keys,
        limits::Limits,
        log::LogSettings,
        proxies::{Forwarded, ProxyProtocol},
        pusher::{APPS, AppTable, PusherSettings},
        pusher_webhooks::{WEBHOOK_LIST, WebhookTable},
        times::Times,
        tls::{CERTIFICATES, CertificateTable, TlsSettings},
        traces::TracesSettings,
    },
    source::Source,
    suggest,
    values::{HUB_DEFAULTS, Values, list_scope},
};

/// The tables of the file in their order, each with its options.
pub(crate) const TABLES: [(&str, &[Opt]); 14] = [
    ("", General::OPTIONS),
    ("keys", Keys::OPTIONS),
    ("aws", Aws::OPTIONS),
    ("tls", TlsSettings::OPTIONS),
    ("proxy_protocol", ProxyProtocol::OPTIONS),
    ("forwarded", Forwarded::OPTIONS),
    ("cluster", ClusterSettings::OPTIONS),
    (HUB_DEFAULTS, HubSettings::OPTIONS),
    ("pusher", PusherSettings::OPTIONS),
    ("limits", Limits::OPTIONS),
    ("times", Times::OPTIONS),
    ("admin", AdminSettings::OPTIONS),
    ("log", LogSettings::OPTIONS),
    ("traces", TracesSettings::OPTIONS),
];

/// The table with a table for each hub.
const HUBS: &str = "hub";

/// The lists of tables, each with the options of a table.
pub(crate) const LISTS: [(&str, &[Opt]); 5] = [
    (CERTIFICATES, CertificateTable::OPTIONS),
    (DEFAULT_LIST, EventHandlerTable::OPTIONS),
    ("issuers", IssuerTable::OPTIONS),
    (APPS, AppTable::OPTIONS),
    (WEBHOOK_LIST, WebhookTable::OPTIONS),
];

/// All options but those of lists, in the order of the file.
pub(crate) fn options() -> impl Iterator<Item = &'static Opt> {
    TABLES.iter().flat_map(|(_, options)| options.iter())
}

/// All options that have a variable: those of tables, and those with a flag of the first table of each list.
pub(crate) fn settable() -> impl Iterator<Item = &'static Opt> {
    let of_lists = LISTS.iter().flat_map(|(_, options)| options.iter());
    let has_flag = |option: &&Opt| !option.flag.is_empty() || !option.file_flag.is_empty();
    options().chain(of_lists.filter(has_flag))
}

/// The scope that flags and variables set an option in, if it is one of a list.
pub(super) fn first_table(option: &Opt) -> Option<String> {
    let in_list = LISTS.iter().any(|(list, _)| *list == option.section);
    in_list.then(|| list_scope(option.section, 0))
}

/// Sets an option by its flag or its variable. One of a list is set in the first table, which is added if
/// there is none.
pub(super) fn set(values: &mut Values, option: &'static Opt, raw: Raw, source: Source) {
    if let Some((list, options)) = LISTS.iter().find(|(list, _)| *list == option.section) {
        let (_, count) = values
            .lists
            .entry((*list).to_owned())
            .or_insert((options, 0));
        *count = 1.max(*count);
    }
    values.set(option, first_table(option).as_deref(), raw, source);
}

/// What is at a place in the file.
pub(super) enum Known {
    Option(&'static Opt),
    Table,
    Hubs,
    List(&'static str, &'static [Opt]),
}

pub(super) fn at(path: &str) -> Option<Known> {
    if path == HUBS {
        return Some(Known::Hubs);
    }
    if !path.is_empty() && TABLES.iter().any(|(name, _)| *name == path) {
        return Some(Known::Table);
    }
    if let Some((name, options)) = LISTS.iter().find(|(name, _)| *name == path) {
        return Some(Known::List(name, options));
    }
    options()
        .find(|option| option.path() == path)
        .map(Known::Option)
}

/// A name that no option has.
pub(super) struct Unknown {
    pub(super) text: String,
    /// The place that was probably meant.
    pub(super) meant: Option<String>,
}

impl Unknown {
    fn key(path: &str, meant: Option<String>) -> Self {
        Self {
            text: with_suggestion(&format!("unknown key `{path}`"), meant.as_deref()),
            meant,
        }
    }
}

/// `has_keys`: whether a table is there.
pub(super) fn unknown_key(path: &str, has_keys: bool) -> Unknown {
    if has_keys {
        let tables = TABLES.iter().chain(&LISTS).map(|(table, _)| *table);
        return Unknown::key(
            path,
            suggest::nearest(path, tables.chain([HUBS])).map(str::to_owned),
        );
    }
    let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
    // The name of a flag, or the right name in the wrong table.
    let wanted = suggest::normal(name);
    let has_name = |option: &&Opt| option.name == wanted;
    let has_flag = |option: &&Opt| option.flag.replace('-', "_") == wanted;
    let is_here = |option: &&Opt| option.section == table;
    // Several tables may have the name.
    let here = options().find(|option| is_here(option) && (has_name(option) || has_flag(option)));
    let same = here.or_else(|| options().find(has_flag));
    let same = same.or_else(|| options().find(has_name));
    let places = options().map(Opt::path);
    let tables = TABLES
        .iter()
        .chain(&LISTS)
        .map(|(table, _)| (*table).to_owned());
    let known: Vec<_> = places.chain(tables).chain([HUBS.to_owned()]).collect();
    let near = || suggest::nearest(path, known.iter().map(String::as_str)).map(str::to_owned);
    let in_table = || {
        let options = options().filter(|option| option.section == table);
        let name = suggest::nearest(name, options.map(|option| option.name))?;
        Some(path.replace(path.rsplit('.').next()?, name))
    };
    let near = same.map(Opt::path).or_else(in_table).or_else(near);
    Unknown::key(path, near.filter(|near| !near.is_empty()))
}

/// The error for a name that is none of the options of a table.
pub(super) fn unknown_in(scope: &str, options: &[Opt], name: &str) -> Unknown {
    let names = options.iter().map(|option| option.name);
    let near = suggest::nearest(name, names).map(|name| format!("{scope}.{name}"));
    Unknown::key(&format!("{scope}.{name}"), near)
}

/// The name of a variable that may be a mistyped one, with the one that was probably meant.
pub(super) fn near_variable(name: &str) -> Option<String> {
    let known: Vec<_> = settable()
        .flat_map(|option| [option.environment(), option.nested_environment()])
        .collect();
    suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// The variable for the file of a secret, after that of its flag.
pub(super) fn file_variable(option: &Opt) -> Option<String> {
    (!option.file_flag.is_empty()).then(|| format!("TIELINE_{}", shout(option.file_flag)))
}

pub(super) fn with_suggestion(text: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{text}; did you mean `{near}`?"),
        None => format!("{text}; `tieline config default` lists all"),
    }
}
