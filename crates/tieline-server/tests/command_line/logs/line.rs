//! A line of the log, in either form, and what `docs/logs.md` says of lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: String,
    pub(super) target: String,
    pub(super) message: String,
    /// Without quotes.
    pub(super) fields: BTreeMap<String, String>,
}

impl Line {
    pub(super) fn parse(form: Form, line: &str) -> Self {
        match form {
            Form::Text => Self::of_text(line),
            Form::Json => Self::of_json(line),
        }
    }

    fn of_json(line: &str) -> Self {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let Value::Object(mut fields) = line["fields"].take() else {
            panic!("no fields in {line}");
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let message = fields.remove("message").map_or(String::new(), |m| text(&m));
        Self {
            level: text(&line["level"]).to_lowercase(),
            target: text(&line["target"]),
            message,
            fields: fields
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        }
    }

    /// `TIME LEVEL target: message name=value name="quoted value"`. A value without quotes may have blanks.
    fn of_text(line: &str) -> Self {
        let (_, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (level, rest) = rest
            .trim_start()
            .split_once(' ')
            .unwrap_or_else(|| panic!("{line}"));
        let (target, rest) = rest
            .trim_start()
            .split_once(": ")
            .unwrap_or_else(|| panic!("{line}"));
        let mut fields = BTreeMap::new();
        let mut message = String::new();
        let mut last: Option<String> = None;
        for word in words(rest) {
            let name = word.split_once('=').filter(|(name, _)| is_name(name));
            if let Some((name, value)) = name {
                fields.insert(name.to_owned(), value.trim_matches('"').to_owned());
                last = Some(name.to_owned());
            } else if let Some(last) = &last {
                let value = fields.get_mut(last).unwrap();
                *value = format!("{value} {word}");
            } else {
                message = format!("{message} {word}");
            }
        }
        Self {
            level: level.to_lowercase(),
            target: target.to_owned(),
            message: message.trim().to_owned(),
            fields,
        }
    }
}

/// The parts between blanks that are not within quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if c == ' ' && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// A message of the page.
#[derive(Debug)]
pub(super) struct Documented {
    /// The heading that it is below.
    pub(super) section: String,
    pub(super) message: String,
    pub(super) levels: String,
    pub(super) required: BTreeSet<String>,
    pub(super) optional: BTreeSet<String>,
}

impl Documented {
    /// Whether a line is as the page says.
    pub(super) fn describes(&self, line: &Line) -> bool {
        let names: BTreeSet<_> = line.fields.keys().cloned().collect();
        let known: BTreeSet<_> = self.required.union(&self.optional).cloned().collect();
        self.message == line.message
            && self.levels.contains(&line.level)
            && self.required.is_subset(&names)
            && names.is_subset(&known)
    }
}

/// The tables of the page.
pub(super) fn documented() -> Vec<Documented> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/logs.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut section = String::new();
    let mut all = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        }
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let mut cells = row.split(" | ");
        let (message, levels, fields) = (
            cells.next().unwrap(),
            cells.next().unwrap(),
            cells.next().unwrap(),
        );
        let names = fields.split('`').skip(1).step_by(2);
        let (optional, required): (Vec<_>, Vec<_>) = names.partition(|name| name.ends_with('?'));
        all.push(Documented {
            section: section.clone(),
            message: message.trim_end_matches('`').to_owned(),
            levels: levels.to_owned(),
            required: required.into_iter().map(str::to_owned).collect(),
            optional: optional
                .iter()
                .map(|name| name.trim_end_matches('?').to_owned())
                .collect(),
        });
    }
    all
}
