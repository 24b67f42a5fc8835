//! The types of values: numbers, sizes, durations, paths, addresses, lists.
//!
//! Must not know which option has which type. Invariant: what a type shows, it reads back from a file.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tieline::Origins;

use super::{
    option::{Invalid, Place, Setting},
    units,
};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size<N>(pub(crate) N);

impl<N: TryFrom<u64> + TryInto<u64> + Copy> Setting for Size<N> {
    const EXPECTED: &'static str = "a size such as \"4MiB\", or a number of bytes";
    const METAVAR: &'static str = "SIZE";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        let size = units::size(text).and_then(|size| N::try_from(size).ok());
        size.map(Self).ok_or_else(|| Invalid::text(text))
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::Integer(size) => Self::from_text(&size.to_string(), place),
            toml::Value::String(text) => Self::from_text(text, place),
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        quoted(&units::show_size(self.0.try_into().unwrap_or(u64::MAX)))
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration with a unit, such as \"10s\", \"250ms\" or \"1h\"";
    const METAVAR: &'static str = "DURATION";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        units::duration_or_seconds(text).ok_or_else(|| Invalid::text(text))
    }

    /// With a unit: nobody knows which one a number in a file has.
    fn from_file(value: &toml::Value, _: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => units::duration(text).ok_or_else(|| Invalid::text(text)),
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        quoted(&units::show_duration(*self))
    }
}

/// Numbers of things.
macro_rules! count {
    ($($type:ty),*) => {
        $(impl Setting for $type {
            const EXPECTED: &'static str = "a whole number";
            const METAVAR: &'static str = "N";

            fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
                text.parse().map_err(|_| Invalid::text(text))
            }

            fn from_file(value: &toml::Value, _: &Place<'_>) -> Result<Self, Invalid> {
                let number = value.as_integer().and_then(|number| number.try_into().ok());
                number.ok_or_else(|| Invalid::found(value))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        })*
    };
}

count!(usize, u32);

impl Setting for String {
    const EXPECTED: &'static str = "a text that is not empty";
    const METAVAR: &'static str = "TEXT";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::text(text));
        }
        Ok(text.to_owned())
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => Self::from_text(text, place),
            toml::Value::Integer(number) => Err(Invalid::Other(format!(
                "found the number {number}, expected a text: write it in quotes, as \"{number}\""
            ))),
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "the path of a file";
    const METAVAR: &'static str = "FILE";

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        Ok(place.base.join(text))
    }

    fn show(&self) -> String {
        quoted(&self.display().to_string())
    }
}

/// Host names are refused: a name can resolve to several addresses.
impl Setting for SocketAddr {
    const EXPECTED: &'static str =
        "IP address and port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8080\"";
    const METAVAR: &'static str = "ADDRESS";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        text.parse().map_err(|_| Invalid::text(text))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// An origin as browsers send it, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// The origins of a list; `None` if it is empty.
    pub(crate) fn list(origins: &[Self]) -> Option<Origins> {
        if origins.is_empty() {
            return None;
        }
        if origins.iter().any(|origin| origin.0 == "*") {
            return Some(Origins::Any);
        }
        let origins = origins.iter().map(|origin| origin.0.clone());
        Some(Origins::List(origins.collect()))
    }
}

impl Setting for Origin {
    const EXPECTED: &'static str = "scheme and host, such as \"https://example.org\", or \"*\"";
    const METAVAR: &'static str = "ORIGIN";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        let host = text.split_once("://");
        let host = host.map(|(_, host)| host.trim_end_matches('/'));
        if text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::text(text))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A list; with commas where it is one text.
impl<T: Setting> Setting for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const METAVAR: &'static str = T::METAVAR;
    const IS_LIST: bool = true;

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let items = text.split(',').map(str::trim);
        Invalid::collect(items.map(|item| T::from_text(item, place)))
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        let Some(items) = value.as_array() else {
            let expected = format!("expected a list, as in [{}]", "\"…\"");
            return Err(Invalid::Other(match Invalid::found(value) {
                Invalid::Found(what) => format!("found {what}, {expected}"),
                _ => expected,
            }));
        };
        Invalid::collect(items.iter().map(|item| T::from_file(item, place)))
    }

    fn show(&self) -> String {
        let items: Vec<_> = self.iter().map(Setting::show).collect();
        format!("[{}]", items.join(", "))
    }
}

/// An option that need not have a value. An empty string is none, in a file or a flag too, so that a
/// stronger layer can take a weaker one's value away.
impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const METAVAR: &'static str = T::METAVAR;
    const CHOICES: &'static [&'static str] = T::CHOICES;
    const BARE: Option<&'static str> = T::BARE;
    const IS_LIST: bool = T::IS_LIST;
    const IS_SECRET: bool = T::IS_SECRET;

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Ok(None);
        }
        T::from_text(text, place).map(Some)
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        if value.as_str() == Some("") {
            return Ok(None);
        }
        T::from_file(value, place).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Setting::show)
    }
}

/// A type of options whose values are words.
macro_rules! choices {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($variant),* }

        impl $crate::config::option::Setting for $name {
            const EXPECTED: &'static str = $crate::config::types::one_of!($($word),*);
            const METAVAR: &'static str = "WORD";
            const CHOICES: &'static [&'static str] = &[$($word),*];

            fn from_text(
                text: &str,
                _: &$crate::config::option::Place<'_>,
            ) -> Result<Self, $crate::config::option::Invalid> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::config::option::Invalid::text(text)),
                }
            }

            fn show(&self) -> String {
                match self { $(Self::$variant => format!("{:?}", $word)),* }
            }
        }
    };
}

macro_rules! one_of {
    ($first:literal) => { concat!("\"", $first, "\"") };
    ($first:literal, $last:literal) => { concat!("\"", $first, "\" or \"", $last, "\"") };
    ($first:literal, $($rest:literal),+) => {
        concat!("\"", $first, "\", ", $crate::config::types::one_of!($($rest),+))
    };
}

pub(super) use {choices, one_of};

/// As a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
