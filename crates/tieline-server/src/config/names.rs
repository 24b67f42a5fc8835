//! Errors in terms of options.
//!
//! The library names its own settings in errors, and other parts of the server name flags. Both become
//! what the operator wrote, with the place where it is.

use super::{
    known::{self, settable},
    option::Opt,
    values::Values,
};

/// An error about flags, with the name that each option was set by.
pub(crate) fn flags_as_set(text: &str, values: &Values) -> String {
    replace(text, values, |word| {
        let flag = word.strip_prefix("--")?;
        settable().find(|option| option.flag == flag || option.file_flag == flag)
    })
}

/// An error of the library about its configuration, likewise.
pub(crate) fn settings_as_set(text: &str, values: &Values) -> String {
    replace(text, values, |word| {
        settable().find(|option| match option.library {
            "" => option.name == word && word.contains('_'),
            library => library == word,
        })
    })
}

fn replace(text: &str, values: &Values, find: impl Fn(&str) -> Option<&'static Opt>) -> String {
    let words = text.split(' ').map(|word| {
        let name = word
            .trim_start_matches('(')
            .trim_end_matches([':', ',', ';', ')']);
        match find(name) {
            Some(option) => word.replacen(
                name,
                &values.name_of(option, known::first_table(option).as_deref()),
                1,
            ),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
