//! The properties of a client's frame, as JSON has them.
//!
//! Owns how JSON is read: of duplicate properties the last counts, null is as good as absent, and a number
//! is the same in every spelling. Must not know kinds of frames. Invariant: a property that is not asked
//! for is not judged.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The properties that any frame has. Unknown ones are ignored, as the wire requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    Type,
    Group,
    Event,
    AckId,
    NoEcho,
    DataType,
    Data,
    Stream,
    StreamId,
    InvocationId,
    Target,
    Metadata,
}

impl Property {
    const ALL: [Self; 12] = [
        Self::Type,
        Self::Group,
        Self::Event,
        Self::AckId,
        Self::NoEcho,
        Self::DataType,
        Self::Data,
        Self::Stream,
        Self::StreamId,
        Self::InvocationId,
        Self::Target,
        Self::Metadata,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Group => "group",
            Self::Event => "event",
            Self::AckId => "ackId",
            Self::NoEcho => "noEcho",
            Self::DataType => "dataType",
            Self::Data => "data",
            Self::Stream => "stream",
            Self::StreamId => "streamId",
            Self::InvocationId => "invocationId",
            Self::Target => "target",
            Self::Metadata => "metadata",
        }
    }
}

/// Why a property cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PropertyError {
    #[error("missing property {:?}", .0.name())]
    Missing(Property),
    #[error("property {:?} must be {}", .0.name(), .1)]
    Kind(Property, &'static str),
    /// Valid JSON, but no text: UTF-8 has no form for it.
    #[error("property {:?} contains half a surrogate pair, which is not a character", .0.name())]
    HalfSurrogate(Property),
}

/// The properties of one object, each in its JSON form.
#[derive(Debug, Default)]
pub(super) struct Properties<'a> {
    values: [Option<&'a RawValue>; Property::ALL.len()],
}

impl<'a> Properties<'a> {
    /// Reads a JSON object.
    pub(super) fn parse(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The property in its JSON form, unless it is null.
    pub(super) fn json(&self, property: Property) -> Option<&'a RawValue> {
        self.values[property as usize].filter(|json| json.get() != "null")
    }

    /// The property as text.
    pub(super) fn text(&self, property: Property) -> Result<Option<Cow<'a, str>>, PropertyError> {
        let Some(json) = self.json(property) else {
            return Ok(None);
        };
        if !json.get().starts_with('"') {
            return Err(PropertyError::Kind(property, "text"));
        }
        let text = match serde_json::from_str::<&str>(json.get()) {
            Ok(text) => Cow::Borrowed(text),
            // It has escapes. Those of valid JSON fail for one reason only.
            Err(_) => serde_json::from_str(json.get())
                .map(Cow::Owned)
                .map_err(|_| PropertyError::HalfSurrogate(property))?,
        };
        Ok(Some(text))
    }

    /// The property as text that must be there.
    pub(super) fn required(&self, property: Property) -> Result<Cow<'a, str>, PropertyError> {
        self.text(property)?.ok_or(PropertyError::Missing(property))
    }

    pub(super) fn flag(&self, property: Property) -> Result<Option<bool>, PropertyError> {
        match self.json(property).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(PropertyError::Kind(property, "true or false")),
        }
    }

    /// The property as a whole number below 2^64.
    pub(super) fn whole(&self, property: Property) -> Result<Option<u64>, PropertyError> {
        let Some(json) = self.json(property) else {
            return Ok(None);
        };
        let whole = whole_number(json.get());
        let error = PropertyError::Kind(property, "a whole number from 0 to 2^64 - 1");
        whole.ok_or(error).map(Some)
    }
}

/// The value of a JSON number, exactly; `None` if it is none, or not a whole one below 2^64.
fn whole_number(json: &str) -> Option<u64> {
    if let Ok(number) = json.parse() {
        return Some(number);
    }
    let (mantissa, exponent) = json.split_once(['e', 'E']).unwrap_or((json, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole.strip_prefix('-').unwrap_or(whole), fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Trailing zeros of the digits and the places after the point shift the exponent.
    let shift = i64::try_from(digits.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(shift - places)?;
    let power = 10_u64.checked_pow(u32::try_from(exponent).ok()?)?;
    let significant = significant.parse::<u64>().ok()?.checked_mul(power);
    significant.filter(|_| !whole.starts_with('-'))
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PropertiesVisitor)
    }
}

struct PropertiesVisitor;

impl<'de> Visitor<'de> for PropertiesVisitor {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut properties = Properties::default();
        while let Some(Key(property)) = map.next_key()? {
            let value = map.next_value()?;
            if let Some(property) = property {
                properties.values[property as usize] = Some(value);
            }
        }
        Ok(properties)
    }
}

/// The name of a property; `None` if it is unknown.
struct Key(Option<Property>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because half a surrogate pair in an unknown name is nobody's concern.
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Key, E> {
        let mut known = Property::ALL.into_iter();
        Ok(Key(known.find(|it| it.name().as_bytes() == name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_in_the_order_of_their_numbers() {
        for (i, property) in Property::ALL.into_iter().enumerate() {
            assert_eq!(property as usize, i);
        }
    }

    #[test]
    fn a_number_is_the_same_in_every_spelling() {
        for (spelled, number) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e-5", 0),
            ("0e99999999999999999999", 0),
            ("7.00", 7),
            ("70e-1", 7),
            ("0.007E+3", 7),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX),
            ("1844674407370955161.5e1", u64::MAX),
            ("1e19", 10_000_000_000_000_000_000),
        ] {
            assert_eq!(whole_number(spelled), Some(number), "{spelled}");
        }
        for not_whole in [
            "-1",
            "-1.0",
            "0.5",
            "5e-1",
            "18446744073709551616",
            "1e20",
            "1e99999999999999999999",
            "true",
            "\"1\"",
            "[1]",
        ] {
            assert_eq!(whole_number(not_whole), None, "{not_whole}");
        }
    }

    #[test]
    fn the_last_of_duplicates_counts_and_null_is_absent() {
        let json = r#"{"ackId":"x","gr\u006fup":"a","ackId":1,"group":null,"\udead":{}}"#;
        let properties = Properties::parse(json).unwrap();
        assert_eq!(properties.whole(Property::AckId), Ok(Some(1)));
        assert_eq!(properties.text(Property::Group), Ok(None));
    }
}
