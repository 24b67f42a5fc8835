//! The values of all layers, one over the other.
//!
//! Owns which value of an option is in force, and where it comes from. Every value is checked when it is
//! added, also one that a stronger layer replaces. Must not know how a layer is read.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    error::ConfigErrors,
    hub_name::HubName,
    option::{Opt, Place, Raw, Setting},
    source::{Environment, Source},
};

/// The table whose options each hub can have in a table of its own.
pub(super) const HUB_DEFAULTS: &str = "hub_defaults";

/// A value that somebody set.
struct Entry {
    option: &'static Opt,
    raw: Raw,
    /// As it may be shown.
    shown: String,
    /// Whether it was refused, so that the default stands for it where what else is wrong is looked for.
    is_refused: bool,
    source: Source,
}

/// What was set, by place: `limits.max_message`, `hub.chat.origins`.
pub(crate) struct Values {
    entries: BTreeMap<String, Entry>,
    /// The hubs with a table.
    pub(super) hubs: BTreeSet<HubName>,
    /// The lists of tables by their place, each with the options of a table and how many tables it has.
    pub(super) lists: BTreeMap<String, (&'static [Opt], usize)>,
    /// Whether there is a file.
    pub(super) has_file: bool,
    /// Whether the file could not be read, so that nothing is known of what was set in it.
    pub(crate) is_incomplete: bool,
    /// Places at which somebody has set something that was refused.
    refused: BTreeSet<String>,
    environment: Environment,
    pub(super) errors: ConfigErrors,
    /// What is probably a mistake, but need not be.
    pub(crate) warnings: Vec<String>,
}

impl Values {
    pub(super) fn new(environment: Environment) -> Self {
        Self {
            entries: BTreeMap::new(),
            hubs: BTreeSet::new(),
            lists: BTreeMap::new(),
            has_file: false,
            is_incomplete: false,
            refused: BTreeSet::new(),
            environment,
            errors: ConfigErrors::default(),
            warnings: Vec::new(),
        }
    }

    /// Sets an option, over weaker layers. `scope` is the table that it is in, if that is one of several:
    /// `hub.chat`, `issuers[0]`.
    pub(super) fn set(
        &mut self,
        option: &'static Opt,
        scope: Option<&str>,
        raw: Raw,
        source: Source,
    ) {
        let path = path(option, scope);
        let place = Place {
            base: base(&source),
            environment: &self.environment,
        };
        // What is refused counts as set, so that no other error follows from it.
        let checked = (option.kind.check)(&raw, &place);
        let is_refused = checked.is_err();
        let shown = checked.unwrap_or_else(|invalid| {
            let name = invalid_name(&path, &source);
            self.errors
                .add_invalid(&name, &invalid, option.kind.expected);
            self.refused.insert(path.clone());
            String::new()
        });
        let entry = Entry {
            option,
            raw,
            shown,
            is_refused,
            source,
        };
        if let Some(weaker) = self.entries.insert(path.clone(), entry)
            && let Some(entry) = self.entries.get(&path)
            && weaker.source.same_layer(&entry.source)
        {
            let both = format!(
                "{} and {} both set `{path}`: remove one",
                weaker.source, entry.source
            );
            self.errors.add(both);
        }
    }

    /// The value in force of an option, as it may be shown, with its source; `None` for the default.
    pub(crate) fn shown(&self, option: &Opt, scope: Option<&str>) -> Option<(&str, &Source)> {
        let entry = self.entries.get(&path(option, scope))?;
        Some((&entry.shown, &entry.source))
    }

    /// What the errors call an option: as it was set, or else as somebody would set it who has a file or
    /// has none.
    pub(crate) fn name_of(&self, option: &Opt, scope: Option<&str>) -> String {
        let path = path(option, scope);
        match self.shown(option, scope) {
            Some((_, source)) => name(&path, source),
            None => match (option.flag, option.file_flag) {
                _ if self.has_file => format!("`{path}`"),
                ("", "") => format!("`{path}`"),
                ("", flag) | (flag, _) => format!("--{flag}"),
            },
        }
    }

    /// Counts a place as set to something that was refused, such as the one that a mistyped name probably meant.
    pub(super) fn refuse(&mut self, place: impl Into<String>) {
        self.refused.insert(place.into());
    }

    /// Whether something was refused at this place, or in this table.
    pub(crate) fn has_refused(&self, place: &str) -> bool {
        let rest = |refused: &str| refused.strip_prefix(place).map(str::to_owned);
        let mut rests = self.refused.iter().filter_map(|refused| rest(refused));
        rests.any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// What errors call the options that were refused.
    pub(crate) fn refused_names(&self) -> Vec<String> {
        let quoted = self.refused.iter().map(|place| format!("`{place}`"));
        let entries = self.refused.iter().filter_map(|place| {
            let entry = self.entries.get(place)?;
            Some(name(place, &entry.source))
        });
        quoted.chain(entries).collect()
    }

    /// How many tables a list of tables has, if it was set.
    pub(super) fn list(&self, place: &str) -> Option<usize> {
        self.lists.get(place).map(|(_, count)| *count)
    }

    /// What of a table is set, in the order of names.
    pub(super) fn set_in<'a>(
        &'a self,
        section: &'a str,
    ) -> impl Iterator<Item = &'static Opt> + 'a {
        let options = self.entries.values().map(|entry| entry.option);
        options.filter(move |option| option.section == section)
    }
}

/// The scope of a hub.
pub(crate) fn hub_scope(hub: &str) -> String {
    format!("hub.{hub}")
}

/// The scope of a table of a list.
pub(crate) fn list_scope(list: &str, index: usize) -> String {
    format!("{list}[{index}]")
}

/// The place of an option in the file.
pub(super) fn path(option: &Opt, scope: Option<&str>) -> String {
    match scope {
        Some(scope) => format!("{scope}.{}", option.name),
        None => option.path(),
    }
}

/// How an error about a value begins.
fn invalid_name(path: &str, source: &Source) -> String {
    match source {
        Source::File { .. } => format!("{source}: invalid `{path}`"),
        Source::Environment(name) | Source::Flag(name) => format!("invalid {name}"),
    }
}

/// What an error of several options calls one.
fn name(path: &str, source: &Source) -> String {
    match source {
        Source::File { .. } => format!("`{path}` ({source})"),
        Source::Environment(name) => name.clone(),
        Source::Flag(flag) => flag.clone(),
    }
}

/// Relative paths of a file are relative to its folder.
fn base(source: &Source) -> &Path {
    match source {
        Source::File { path, .. } => path.parent().unwrap_or(Path::new("")),
        _ => Path::new(""),
    }
}

/// Reads typed values. Collects what has become unreadable since it was checked.
pub(crate) struct Reader<'a> {
    values: &'a Values,
    scope: Option<String>,
    errors: &'a RefCell<ConfigErrors>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a Values, errors: &'a RefCell<ConfigErrors>) -> Self {
        Self {
            values,
            scope: None,
            errors,
        }
    }

    /// The same for the table of this scope.
    pub(super) fn scope(&self, scope: String) -> Self {
        Self {
            scope: Some(scope),
            values: self.values,
            errors: self.errors,
        }
    }

    /// The tables of a list, if it was set.
    pub(super) fn tables<T>(&self, list: &str, read: fn(&Self) -> T) -> Option<Vec<T>> {
        let count = self.values.list(list)?;
        let table = |index| read(&self.scope(list_scope(list, index)));
        Some((0..count).map(table).collect())
    }

    /// The value of the strongest layer, or `None` for the default. A value in the table of a hub goes before
    /// those in the table of all hubs.
    pub(super) fn read<T: Setting>(&self, option: &Opt) -> Option<T> {
        let entries = &self.values.entries;
        let at = |path: String| entries.get(&path).map(|entry| (path, entry));
        let own = self.scope.as_deref().map(|scope| path(option, Some(scope)));
        let (path, entry) = own.and_then(at).or_else(|| at(option.path()))?;
        if entry.is_refused {
            return None;
        }
        let place = Place {
            base: base(&entry.source),
            environment: &self.values.environment,
        };
        match entry.raw.read(&place) {
            Ok(value) => Some(value),
            Err(invalid) => {
                let name = invalid_name(&path, &entry.source);
                let expected = option.kind.expected;
                self.errors
                    .borrow_mut()
                    .add_invalid(&name, &invalid, expected);
                None
            }
        }
    }
}
