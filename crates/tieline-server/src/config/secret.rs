//! What nobody may read: a secret, and where it comes from.
//!
//! Owns that a secret is named in a file or a variable of its own, not written into the configuration.
//! Must not know what it is for. Invariant: no text form shows it, not even its length.

use std::fmt;

use super::option::{Invalid, Place, Setting};

/// What some editors begin a text in UTF-8 with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A secret. Its text forms show nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    pub(crate) fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for whoever has to use it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Its first line, without white space around it: what other programs keep may have more.
    pub(crate) fn first_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default().trim()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for Secret {
    const EXPECTED: &'static str = "{ file = \"…\" } or { env = \"…\" }";
    const METAVAR: &'static str = "SECRET";
    const IS_SECRET: bool = true;

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        Ok(Self::new(text))
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::Table(table) => referred(table, place),
            // Nor is a number shown: it may be meant as one.
            _ => Err(Invalid::Other(
                "a secret is not written here, where others may read it: use { file = \"…\" } or \
                 { env = \"…\" }"
                    .into(),
            )),
        }
    }

    fn show(&self) -> String {
        "\"***\"".into()
    }
}

/// What a table with `file` or `env` refers to.
pub(super) fn referred(table: &toml::Table, place: &Place<'_>) -> Result<Secret, Invalid> {
    let mut fields = table.iter();
    let (Some((key, toml::Value::String(name))), None) = (fields.next(), fields.next()) else {
        return Err(Invalid::Other(
            "expected one of { file = \"…\" } and { env = \"…\" }".into(),
        ));
    };
    match key.as_str() {
        "file" => in_file(name, place),
        "env" => match place.environment.get(name) {
            Some(value) => Ok(Secret::new(value.clone())),
            None => Err(Invalid::Other(format!(
                "the variable {name} is not set, or empty"
            ))),
        },
        key => Err(Invalid::Other(format!(
            "unknown key `{key}`; expected `file` or `env`"
        ))),
    }
}

/// The secret in a file. What editors add is dropped: a newline at the end, and a mark of the byte order at the beginning.
pub(super) fn in_file(name: &str, place: &Place<'_>) -> Result<Secret, Invalid> {
    let path = place.base.join(name);
    let unreadable = |why: &dyn fmt::Display| {
        Invalid::Unreadable(format!("cannot read {}: {why}", path.display()))
    };
    let bytes = std::fs::read(&path).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(&"it is not text in UTF-8; save it in this encoding"))?;
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(Invalid::Other(format!("{} is empty", path.display())));
    }
    Ok(Secret::new(text))
}
