//! A table of options, for errors about it.
//!
//! Owns how an error names an option of a table: as it was set, or else by its place. Must not know what is wrong.

use crate::config::{option::Opt, values::Values};

/// A table, or one of several.
pub(super) struct Table<'a> {
    values: &'a Values,
    options: &'static [Opt],
    /// Where it is, if it is one of several.
    scope: Option<String>,
}

impl<'a> Table<'a> {
    pub(super) fn new(values: &'a Values, options: &'static [Opt]) -> Self {
        Self {
            values,
            options,
            scope: None,
        }
    }

    /// The table at this place of several.
    pub(super) fn at(values: &'a Values, options: &'static [Opt], scope: String) -> Self {
        Self {
            scope: Some(scope),
            ..Self::new(values, options)
        }
    }

    /// What errors call one of its options.
    pub(super) fn name(&self, option: &str) -> String {
        let mut options = self.options.iter();
        let option = options.find(|known| known.name == option);
        let name = option.map(|option| self.values.name_of(option, self.scope.as_deref()));
        name.unwrap_or_default()
    }

    /// What is wrong with one of its options.
    pub(super) fn invalid(&self, option: &str, why: &str) -> String {
        format!("{} {why}", self.name(option))
    }
}
