//! What an option is: its description, and how a value of it is read.
//!
//! Owns the contract between the list of options and everything that is made from it: the file, the
//! flags, the help, the documentation. Must not know any option.

use std::path::Path;

use super::source::Environment;

/// One option. The list of all is in `settings`.
#[derive(Debug)]
pub(crate) struct Opt {
    /// The table of the file that it is in; empty at the top.
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    /// What it is, in one sentence.
    pub(crate) sentence: &'static str,
    /// What it costs, or what follows from it.
    pub(crate) cost: &'static str,
    /// What happens without a value, if there is no default value.
    pub(crate) without: &'static str,
    /// The name of its flag, without dashes.
    pub(crate) flag: &'static str,
    /// The flag for the file of a secret.
    pub(crate) file_flag: &'static str,
    /// The name of its variable, unless it follows from the flag.
    pub(crate) variable: &'static str,
    /// A variable of other programs that sets it too, if its own does not.
    pub(crate) shared_variable: &'static str,
    /// What the help calls its value, unless that follows from its type.
    pub(crate) metavar: &'static str,
    /// What the library calls it in errors.
    pub(crate) library: &'static str,
    /// Whether SIGHUP applies a change; otherwise it needs a restart.
    pub(crate) live: bool,
    pub(crate) kind: Kind,
    /// The default as it stands in a file.
    pub(crate) default: fn() -> String,
}

impl Opt {
    /// What is filled in by the list.
    pub(crate) const BLANK: Self = Self {
        section: "",
        name: "",
        sentence: "",
        cost: "",
        without: "",
        flag: "",
        file_flag: "",
        variable: "",
        shared_variable: "",
        metavar: "",
        library: "",
        live: false,
        kind: Kind::of::<bool>(),
        default: String::new,
    };

    /// Its place in the file, such as `limits.max_message`.
    pub(crate) fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The name of its variable: that of its flag, or else that of its place in the file.
    pub(crate) fn environment(&self) -> String {
        match (self.variable, self.flag) {
            ("", "") => self.nested_environment(),
            ("", flag) => format!("TIELINE_{}", shout(flag)),
            (variable, _) => variable.to_owned(),
        }
    }

    /// The name of the variable for its place in the file, which every option has.
    pub(crate) fn nested_environment(&self) -> String {
        format!("TIELINE_{}", shout(&self.path().replace('.', "__")))
    }

    /// What the help calls its value.
    pub(crate) fn metavar(&self) -> &'static str {
        if self.metavar.is_empty() {
            self.kind.metavar
        } else {
            self.metavar
        }
    }
}

/// As variables are written.
pub(crate) fn shout(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

/// What depends on the type of an option.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) expected: &'static str,
    pub(crate) metavar: &'static str,
    pub(crate) choices: &'static [&'static str],
    pub(crate) bare: Option<&'static str>,
    pub(crate) is_list: bool,
    pub(crate) is_secret: bool,
    /// Checks a value, and returns it as it may be shown.
    pub(crate) check: fn(&Raw, &Place<'_>) -> Result<String, Invalid>,
}

impl Kind {
    pub(crate) const fn of<T: Setting>() -> Self {
        Self {
            expected: T::EXPECTED,
            metavar: T::METAVAR,
            choices: T::CHOICES,
            bare: T::BARE,
            is_list: T::IS_LIST,
            is_secret: T::IS_SECRET,
            check: |raw, place| Ok(raw.read::<T>(place)?.show()),
        }
    }
}

/// A type of values.
pub(crate) trait Setting: Sized {
    /// What belongs there, as in "expected …".
    const EXPECTED: &'static str;
    /// What the help calls a value.
    const METAVAR: &'static str;
    /// All values, if they are words.
    const CHOICES: &'static [&'static str] = &[];
    /// What its flag means without a value, if it may be without.
    const BARE: Option<&'static str> = None;
    const IS_LIST: bool = false;
    /// Whether it can be in a file or a variable of its own.
    const IS_SECRET: bool = false;

    /// From a flag or a variable.
    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid>;

    /// From the file. Unless said otherwise, a string is read as the text of a flag is.
    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => Self::from_text(text, place),
            other => Err(Invalid::found(other)),
        }
    }

    /// As it stands in a file, without what is secret.
    fn show(&self) -> String;
}

/// Why a value is refused.
#[derive(Debug)]
pub(crate) enum Invalid {
    /// It is something else than expected. May be shown.
    Found(String),
    /// The same, and one of the words that are expected was probably meant.
    FoundFor(String, &'static str),
    /// Expected is already said.
    Other(String),
    /// A file that it names cannot be read, now.
    Unreadable(String),
}

impl Invalid {
    /// A text that is not what is expected. Not for secrets.
    pub(super) fn text(text: &str) -> Self {
        Self::Found(format!("{text:?}"))
    }

    /// The items of a list, or what is wrong with each that is refused.
    pub(super) fn collect<T>(items: impl Iterator<Item = Result<T, Self>>) -> Result<Vec<T>, Self> {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Ok(item) => accepted.push(item),
                Err(invalid) => refused.push(invalid),
            }
        }
        match refused.len() {
            0 => Ok(accepted),
            1 => Err(refused.remove(0)),
            _ => Err(Self::several(refused)),
        }
    }

    fn several(all: Vec<Self>) -> Self {
        let is_found = |invalid: &Self| matches!(invalid, Self::Found(_) | Self::FoundFor(..));
        let are_found = all.iter().all(is_found);
        let are_unreadable = all.iter().all(|one| matches!(one, Self::Unreadable(_)));
        let texts = all.into_iter().map(|invalid| match invalid {
            Self::Found(text) | Self::FoundFor(text, _) if are_found => text,
            Self::Found(text) | Self::FoundFor(text, _) => format!("found {text}"),
            Self::Other(text) | Self::Unreadable(text) => text,
        });
        let texts: Vec<_> = texts.collect();
        match (are_found, are_unreadable) {
            (true, _) => Self::Found(texts.join(" and ")),
            (_, true) => Self::Unreadable(texts.join("; ")),
            _ => Self::Other(texts.join("; ")),
        }
    }

    /// A value of the wrong type. Its content is not shown.
    pub(super) fn found(value: &toml::Value) -> Self {
        let what = match value {
            toml::Value::String(_) => "a string",
            toml::Value::Integer(number) => return Self::Found(format!("the number {number}")),
            toml::Value::Float(_) => "a decimal number",
            toml::Value::Boolean(value) => return Self::Found(value.to_string()),
            toml::Value::Datetime(_) => "a date",
            toml::Value::Array(_) => "a list",
            toml::Value::Table(_) => "a table",
        };
        Self::Found(what.into())
    }
}

/// A value as somebody wrote it. Has no text form, as it may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Raw {
    /// In a variable or on the command line.
    Text(String),
    File(toml::Value),
}

impl Raw {
    /// A secret that is in a file of its own.
    pub(crate) fn secret_file(path: String) -> Self {
        let file = [("file".to_owned(), toml::Value::String(path))];
        Self::File(toml::Value::Table(file.into_iter().collect()))
    }

    pub(super) fn read<T: Setting>(&self, place: &Place<'_>) -> Result<T, Invalid> {
        match self {
            Self::Text(text) => T::from_text(text, place),
            Self::File(value) => T::from_file(value, place),
        }
    }
}

/// Where a value is read, for what it refers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// What relative paths are relative to: the folder of the file, or the working directory.
    pub(crate) base: &'a Path,
    pub(crate) environment: &'a Environment,
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";
    const METAVAR: &'static str = "BOOL";
    const BARE: Option<&'static str> = Some("true");

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" | "y" | "t" => Ok(true),
            "0" | "false" | "no" | "off" | "n" | "f" => Ok(false),
            _ => Err(Invalid::text(text)),
        }
    }

    fn from_file(value: &toml::Value, _: &Place<'_>) -> Result<Self, Invalid> {
        value.as_bool().ok_or_else(|| Invalid::found(value))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
