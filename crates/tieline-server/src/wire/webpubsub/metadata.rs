//! Metadata of a message: the headers `X-WebPubSub-Metadata-{name}` of a request or of an answer, or the property
//! `metadata` of a client's frame.
//!
//! Owns how they are read, and how much there may be. Must not know whose they are. Invariant: names and values are
//! visible ASCII, so that every client can show them. Names from headers are in lower case, because the case of a
//! header is lost on the way.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::value::RawValue;

use crate::app::about::Metadata;

/// In lower case, as headers are here.
const PREFIX: &str = "x-webpubsub-metadata-";

const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 1024;
/// Of all names and values together.
const MAX_TOTAL: usize = 8 * 1024;

/// Why something is no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetadataError {
    #[error("metadata must be ASCII, and each name given once")]
    NotAscii,
    #[error("metadata must be an object whose values are text")]
    NotText,
    #[error("a name of metadata must have 1 to {MAX_NAME} characters")]
    Name,
    #[error("a value of metadata has more than {MAX_VALUE} characters")]
    Value,
    #[error("the metadata has more than {} KiB", MAX_TOTAL >> 10)]
    TooMuch,
}

/// The metadata in headers; `None` without any.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Metadata>, MetadataError> {
    let mut pairs = Vec::new();
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let mut values = headers.get_all(header).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        let (Some(value), None) = (value, values.next()) else {
            return Err(MetadataError::NotAscii);
        };
        pairs.push((name.to_owned(), value.to_owned()));
    }
    check(pairs.iter().map(|(name, value)| (&**name, &**value)))?;
    Ok(Metadata::new(pairs))
}

/// The metadata in a frame; `None` without any.
pub(super) fn parse(json: &RawValue) -> Result<Option<Metadata>, MetadataError> {
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(json.get()).map_err(|_| MetadataError::NotText)?;
    let is_visible = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !pairs
        .iter()
        .all(|(name, value)| is_visible(name) && is_visible(value))
    {
        return Err(MetadataError::NotAscii);
    }
    check(pairs.iter().map(|(name, value)| (&**name, &**value)))?;
    Ok(Metadata::new(pairs))
}

fn check<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), MetadataError> {
    let mut total = 0;
    for (name, value) in pairs {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(MetadataError::Name);
        }
        if value.len() > MAX_VALUE {
            return Err(MetadataError::Value);
        }
        total += name.len() + value.len();
    }
    if total > MAX_TOTAL {
        return Err(MetadataError::TooMuch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<bool, MetadataError> {
        Ok(parse(serde_json::from_str(json).unwrap())?.is_some())
    }

    #[test]
    fn the_metadata_of_a_frame_has_the_limits_of_that_in_headers() {
        assert_eq!(parsed("{}"), Ok(false));
        assert_eq!(parsed(r#"{"Kind":"news","a":""}"#), Ok(true));
        let pair = |name, value| format!(r#"{{"{}":"{}"}}"#, "n".repeat(name), "v".repeat(value));
        assert_eq!(parsed(&pair(MAX_NAME, MAX_VALUE)), Ok(true));
        let many = |each| {
            let pairs = (0..8).map(|n| format!(r#""{n}":"{}""#, "v".repeat(each)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        };
        assert_eq!(parsed(&many(MAX_VALUE - 1)), Ok(true));
        for (json, error) in [
            ("[]".into(), MetadataError::NotText),
            (r#"{"a":1}"#.into(), MetadataError::NotText),
            (r#"{"a":"\ud83d"}"#.into(), MetadataError::NotText),
            (r#"{"a":"é"}"#.into(), MetadataError::NotAscii),
            (r#"{"a\n":""}"#.into(), MetadataError::NotAscii),
            (pair(0, 1), MetadataError::Name),
            (pair(MAX_NAME + 1, 1), MetadataError::Name),
            (pair(1, MAX_VALUE + 1), MetadataError::Value),
            (many(MAX_VALUE), MetadataError::TooMuch),
        ] {
            assert_eq!(parsed(&json), Err(error), "{json}");
        }
    }
}
