//! Metadata of a message: the headers `X-WebPubSub-Metadata-{name}`.
//!
//! Owns how they are read, and how much there may be. Invariant: names and values are visible ASCII, so that every
//! client can show them. Names are in lower case, because the case of a header is lost on the way.

use axum::http::HeaderMap;

use super::error::Error;
use crate::app::about::Metadata;

/// In lower case, as headers are here.
const PREFIX: &str = "x-webpubsub-metadata-";

const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 1024;
/// Of all names and values together.
const MAX_TOTAL: usize = 8 * 1024;

/// The metadata of a request; `None` without any.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Metadata>, Error> {
    let mut pairs = Vec::new();
    let mut total = 0;
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let mut values = headers.get_all(header).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        let (Some(value), None) = (value, values.next()) else {
            return Err(refuse("metadata must be ASCII, and each name given once"));
        };
        total += name.len() + value.len();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(refuse("a name of metadata must have 1 to 256 characters"));
        }
        if value.len() > MAX_VALUE {
            return Err(refuse("a value of metadata has more than 1,024 characters"));
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    if total > MAX_TOTAL {
        return Err(refuse("the metadata has more than 8 KiB"));
    }
    Ok(Metadata::new(pairs))
}

fn refuse(message: &str) -> Error {
    Error::bad_request("X-WebPubSub-Metadata-*", message)
}
