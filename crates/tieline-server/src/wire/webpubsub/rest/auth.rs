//! Whether a request may be made.
//!
//! Owns where its token stands: in `Authorization`, and nowhere else, because queries end up in logs. Must not know
//! operations. Invariant: a token is good for the path that it was made for, so that one of a client opens nothing
//! here.

use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};

use super::error::Error;
use crate::{
    app::access::{Access, AccessError},
    metrics::METRICS,
};

/// The token of a request to this path, as it was sent, if it is valid.
pub(super) fn check<'a>(
    access: &Access,
    headers: &'a HeaderMap,
    path: &str,
) -> Result<&'a str, Error> {
    let checked = token(headers).and_then(|token| {
        access.backend(token, path)?;
        Ok(token)
    });
    checked.map_err(|error| {
        METRICS.backend_refused(error.reason());
        tracing::debug!(reason = error.reason(), "refused a request of a backend");
        Error::unauthorized()
    })
}

fn token(headers: &HeaderMap) -> Result<&str, AccessError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AccessError::NoToken)?;
    if values.next().is_some() {
        return Err(AccessError::SeveralTokens);
    }
    bearer(value).ok_or(AccessError::NoToken)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}
