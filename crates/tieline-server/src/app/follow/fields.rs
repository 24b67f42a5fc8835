//! The properties of a JSON object whose end may be missing.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::Value;

/// Hands on each property that is there as a whole. What is no object has none.
pub(crate) fn each_field(payload: &[u8], take: impl FnMut(&str, &Value)) {
    let mut json = serde_json::Deserializer::from_slice(payload);
    // An error ends it where the bytes end; what was read before stays.
    let _ = Fields(take).deserialize(&mut json);
}

struct Fields<F>(F);

impl<'de, F: FnMut(&str, &Value)> DeserializeSeed<'de> for Fields<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &Value)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            (self.0)(&key, &map.next_value()?);
        }
        Ok(())
    }
}
