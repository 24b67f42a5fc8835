//! The functions of filters.
//!
//! Positions count characters. Invariant: no function fails, whatever its arguments are.

use std::borrow::Cow;

use super::types::Type;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    ToLower,
    ToUpper,
    Trim,
    Substring,
    Concat,
    StartsWith,
    EndsWith,
    Contains,
    IndexOf,
    Length,
}

/// The value of an expression for a connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    /// How many groups there are: all that a function asks of them.
    GroupCount(usize),
}

impl Function {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match &*word.to_ascii_lowercase() {
            "tolower" => Self::ToLower,
            "toupper" => Self::ToUpper,
            "trim" => Self::Trim,
            "substring" => Self::Substring,
            "concat" => Self::Concat,
            "startswith" => Self::StartsWith,
            "endswith" => Self::EndsWith,
            "contains" => Self::Contains,
            "indexof" => Self::IndexOf,
            "length" => Self::Length,
            _ => return None,
        })
    }

    /// The types of the arguments; the last of `substring` may be missing, and `length` takes groups too.
    pub(super) fn arguments(self) -> &'static [Type] {
        match self {
            Self::ToLower | Self::ToUpper | Self::Trim | Self::Length => &[Type::Text],
            Self::Substring => &[Type::Text, Type::Int, Type::Int],
            Self::Concat | Self::StartsWith | Self::EndsWith | Self::Contains | Self::IndexOf => {
                &[Type::Text, Type::Text]
            }
        }
    }

    pub(super) fn result(self) -> Type {
        match self {
            Self::ToLower | Self::ToUpper | Self::Trim | Self::Substring | Self::Concat => {
                Type::Text
            }
            Self::StartsWith | Self::EndsWith | Self::Contains => Type::Bool,
            Self::IndexOf | Self::Length => Type::Int,
        }
    }

    /// The result for values of the right types; `null` if one of them is.
    pub(super) fn call<'a>(self, arguments: &[Value<'a>]) -> Value<'a> {
        use Value::{Bool, GroupCount, Int, Text};
        match (self, arguments) {
            (Self::ToLower, [Text(text)]) => Text(text.to_lowercase().into()),
            (Self::ToUpper, [Text(text)]) => Text(text.to_uppercase().into()),
            (Self::Trim, [Text(text)]) => Text(text.trim().to_owned().into()),
            (Self::Substring, [Text(text), Int(from)]) => Text(substring(text, *from, i64::MAX)),
            (Self::Substring, [Text(text), Int(from), Int(length)]) => {
                Text(substring(text, *from, *length))
            }
            (Self::Concat, [Text(one), Text(other)]) => Text(format!("{one}{other}").into()),
            (Self::StartsWith, [Text(text), Text(part)]) => Bool(text.starts_with(&**part)),
            (Self::EndsWith, [Text(text), Text(part)]) => Bool(text.ends_with(&**part)),
            (Self::Contains, [Text(text), Text(part)]) => Bool(text.contains(&**part)),
            (Self::IndexOf, [Text(text), Text(part)]) => Int(match text.find(&**part) {
                Some(at) => int(text[..at].chars().count()),
                None => -1,
            }),
            (Self::Length, [Text(text)]) => Int(int(text.chars().count())),
            (Self::Length, [GroupCount(count)]) => Int(int(*count)),
            _ => Value::Null,
        }
    }
}

/// The part of a text; what lies outside of it is left out.
fn substring<'a>(text: &str, from: i64, length: i64) -> Cow<'a, str> {
    let from = usize::try_from(from.max(0)).unwrap_or(usize::MAX);
    let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    text.chars().skip(from).take(length).collect()
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
