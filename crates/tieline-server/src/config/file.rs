//! The layer of the file.
//!
//! Owns which keys of a TOML file are options. Reports all unknown keys and wrong values at once. Must not
//! show the content of a line that it cannot parse: it may hold a secret.

use std::{borrow::Cow, ops::Range, path::Path, sync::Arc};

use serde::{Deserialize, de::IntoDeserializer};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    hub_name::HubName,
    known::{self, Known, Unknown},
    option::{Opt, Raw},
    sections::{
        event_handlers::{EventHandlerTable, LIST},
        hub::HubSettings,
        pusher::APPS,
        pusher_webhooks::{WEBHOOKS, WebhookTable},
    },
    source::Source,
    values::{Values, hub_scope, list_scope},
};

/// Adds what is in the file.
pub(super) fn add(values: &mut Values, path: &Path) {
    values.has_file = true;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let path = path.display();
            values.is_incomplete = true;
            values
                .errors
                .add_unreadable(format!("cannot read the configuration {path}: {error}"));
            return;
        }
    };
    let file = File {
        path: Arc::new(path.to_owned()),
        text: &text,
    };
    match DeTable::parse(&text) {
        Ok(table) => file.add_table(values, "", table.into_inner()),
        Err(error) => {
            let at = file.source(&error.span().unwrap_or_default());
            values.is_incomplete = true;
            values.errors.add(format!("{at}: {}", error.message()));
        }
    }
}

struct File<'a> {
    path: Arc<std::path::PathBuf>,
    text: &'a str,
}

impl File<'_> {
    /// The line of a place in the text.
    fn source(&self, span: &Range<usize>) -> Source {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        Source::File {
            path: Arc::clone(&self.path),
            line: before.split(|byte| *byte == b'\n').count(),
        }
    }

    /// Adds a table whose place is `prefix`, which is empty or ends with a dot.
    fn add_table(&self, values: &mut Values, prefix: &str, table: DeTable<'_>) {
        for (key, value) in in_order(table) {
            let path = format!("{prefix}{}", key.get_ref());
            let source = self.source(&key.span());
            match (known::at(&path), value.get_ref()) {
                (Some(Known::Option(option)), _) => set(values, option, None, value, source),
                (Some(Known::Table), DeValue::Table(_)) => {
                    self.add_table(values, &format!("{path}."), inner(value));
                }
                (Some(Known::List(list, options)), DeValue::Array(_)) => {
                    self.add_list(values, list, options, value);
                }
                (Some(Known::List(..)), _) => values.errors.add(not_a_list(&source, &path)),
                (Some(Known::Hubs), DeValue::Table(_)) => self.add_hubs(values, inner(value)),
                (Some(Known::Table), _) => {
                    let text =
                        format!("{source}: invalid `{path}`: expected a table, as in [{path}]");
                    values.errors.add(text);
                }
                (Some(Known::Hubs), _) => {
                    let text = "expected a table for each hub, as in [hub.chat]";
                    values
                        .errors
                        .add(format!("{source}: invalid `{path}`: {text}"));
                }
                (None, value) => {
                    let is_table = matches!(value, DeValue::Table(_));
                    add_unknown(values, &source, known::unknown_key(&path, is_table));
                }
            }
        }
    }

    fn add_hubs(&self, values: &mut Values, hubs: DeTable<'_>) {
        for (key, value) in in_order(hubs) {
            let source = self.source(&key.span());
            let refused = match (key.get_ref().parse::<HubName>(), value.get_ref()) {
                (Ok(name), DeValue::Table(_)) if values.hubs.insert(name.clone()) => {
                    self.add_scope(
                        values,
                        &hub_scope(name.as_str()),
                        HubSettings::OPTIONS,
                        &[(LIST, EventHandlerTable::OPTIONS)],
                        inner(value),
                    );
                    continue;
                }
                (Ok(_), DeValue::Table(_)) => {
                    "names are compared in lower case, and another table has this one".into()
                }
                (Ok(name), _) => format!("expected a table, as in [hub.{name}]"),
                (Err(why), _) => why,
            };
            // It may be the only one that is listed.
            values.refuse("only_listed_hubs");
            values.errors.add(format!(
                "{source}: invalid `hub.{}`: {refused}",
                key.get_ref()
            ));
        }
    }

    fn add_list(
        &self,
        values: &mut Values,
        list: &str,
        options: &'static [Opt],
        value: Spanned<DeValue<'_>>,
    ) {
        let source = self.source(&value.span());
        let DeValue::Array(items) = value.into_inner() else {
            return;
        };
        values.lists.insert(list.to_owned(), (options, items.len()));
        let lists: &[(&str, &'static [Opt])] = match list {
            APPS => &[(WEBHOOKS, WebhookTable::OPTIONS)],
            _ => &[],
        };
        for (index, item) in items.into_iter().enumerate() {
            if matches!(item.get_ref(), DeValue::Table(_)) {
                self.add_scope(
                    values,
                    &list_scope(list, index),
                    options,
                    lists,
                    inner(item),
                );
            } else {
                values.errors.add(not_a_list(&source, list));
            }
        }
    }

    /// Adds a table of which there are several. `lists` are the lists of tables that are in it.
    fn add_scope(
        &self,
        values: &mut Values,
        scope: &str,
        options: &'static [Opt],
        lists: &[(&str, &'static [Opt])],
        table: DeTable<'_>,
    ) {
        for (key, value) in in_order(table) {
            let source = self.source(&key.span());
            let name = key.get_ref();
            if let Some(option) = options.iter().find(|option| option.name == name) {
                set(values, option, Some(scope), value, source);
            } else if let Some((list, options)) = lists.iter().find(|(list, _)| *list == name) {
                let list = format!("{scope}.{list}");
                if matches!(value.get_ref(), DeValue::Array(_)) {
                    self.add_list(values, &list, options, value);
                } else {
                    values.errors.add(not_a_list(&source, &list));
                }
            } else {
                add_unknown(values, &source, known::unknown_in(scope, options, name));
            }
        }
    }
}

/// What was meant counts as set, so that no other error follows from the mistake.
fn add_unknown(values: &mut Values, source: &Source, unknown: Unknown) {
    values.errors.add(format!("{source}: {}", unknown.text));
    if let Some(meant) = unknown.meant {
        values.refuse(meant);
    }
}

fn not_a_list(source: &Source, list: &str) -> String {
    format!("{source}: invalid `{list}`: expected tables, as in [[{list}]]")
}

/// As the file has them, so that errors come in the order of lines.
fn in_order(table: DeTable<'_>) -> Vec<(Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn inner(value: Spanned<DeValue<'_>>) -> DeTable<'_> {
    match value.into_inner() {
        DeValue::Table(table) => table,
        _ => DeTable::default(),
    }
}

fn set(
    values: &mut Values,
    option: &'static Opt,
    scope: Option<&str>,
    value: Spanned<DeValue<'_>>,
    source: Source,
) {
    match toml::Value::deserialize(value.into_deserializer()) {
        Ok(value) => values.set(option, scope, Raw::File(value), source),
        Err(error) => values.errors.add(format!("{source}: {}", error.message())),
    }
}
