//! How a token is made.

use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::app::{clock, key::AccessKey};

/// The claims of a new token of a client.
#[derive(Debug, Serialize)]
pub(crate) struct NewToken<'a> {
    /// The URL that the client connects to, with the scheme `http` or `https`.
    pub(crate) aud: &'a str,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) role: &'a [String],
    #[serde(
        rename = "webpubsub.group",
        skip_serializing_if = "<[String]>::is_empty"
    )]
    pub(crate) group: &'a [String],
    /// Seconds since 1970.
    pub(crate) iat: u64,
    pub(crate) exp: u64,
}

/// The time as tokens have it, in seconds since 1970; `None` with a clock before that.
pub(crate) fn now() -> Option<u64> {
    let since = clock::now().duration_since(SystemTime::UNIX_EPOCH);
    Some(since.ok()?.as_secs())
}

impl NewToken<'_> {
    /// Signs with HS256.
    pub(crate) fn sign(&self, key: &AccessKey) -> Result<String, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_secret(key.expose().as_bytes());
        encode(&Header::new(Algorithm::HS256), self, &key)
    }
}
