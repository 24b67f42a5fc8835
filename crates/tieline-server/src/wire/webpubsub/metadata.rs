//! Metadata of a message: the headers `X-WebPubSub-Metadata-{name}` of a request, or of an answer.
//!
//! Owns how they are read, and how much there may be. Must not know whose they are. Invariant: names and values are visible ASCII, so that every
//! client can show them. Names are in lower case, because the case of a header is lost on the way.

use http::HeaderMap;

use crate::app::about::Metadata;

/// In lower case, as headers are here.
const PREFIX: &str = "x-webpubsub-metadata-";

const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 1024;
/// Of all names and values together.
const MAX_TOTAL: usize = 8 * 1024;

/// Why headers are no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetadataError {
    #[error("metadata must be ASCII, and each name given once")]
    NotAscii,
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
    let mut total = 0;
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let mut values = headers.get_all(header).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        let (Some(value), None) = (value, values.next()) else {
            return Err(MetadataError::NotAscii);
        };
        total += name.len() + value.len();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(MetadataError::Name);
        }
        if value.len() > MAX_VALUE {
            return Err(MetadataError::Value);
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    if total > MAX_TOTAL {
        return Err(MetadataError::TooMuch);
    }
    Ok(Metadata::new(pairs))
}
