//! The claims of a token.
//!
//! Owns their form: the registered ones (RFC 7519, 4.1), and those that Web PubSub adds. Must not know
//! who signed them, or which audience is the right one. Invariant: of a claim that stands twice, none counts.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::error::TokenError;

/// How far the clock of whoever signs may be from that of the server, in seconds; that of the hosted
/// service.
const SKEW: f64 = 300.0;

/// Seconds since 1970, as in `exp`; with fractions, which the RFC allows.
pub(crate) type Seconds = f64;

#[derive(Deserialize)]
pub(super) struct Claims {
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    pub(super) iss: Option<String>,
    aud: Option<OneOrMany>,
    sub: Option<String>,
    role: Option<OneOrMany>,
    #[serde(rename = "webpubsub.group")]
    group: Option<OneOrMany>,
}

/// SDKs write a list of one as the value itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    pub(super) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(json).map_err(|_| TokenError::Malformed)
    }

    /// Whether the token is valid at this time.
    pub(super) fn check_time(&self, now: Seconds) -> Result<(), TokenError> {
        let expires = self.exp.ok_or(TokenError::NoExpiry)?;
        if now >= expires + SKEW {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|begins| now < begins - SKEW) {
            return Err(TokenError::Early);
        }
        Ok(())
    }

    pub(super) fn audiences(&mut self) -> Vec<String> {
        many(self.aud.take())
    }

    pub(super) fn into_identity(self) -> Identity {
        Identity {
            user: self.sub.filter(|user| !user.is_empty()),
            roles: many(self.role),
            groups: many(self.group),
        }
    }
}

/// All claims of a token that was verified before, as text, for whoever wants to see them.
pub(crate) fn all(token: &str) -> BTreeMap<String, Vec<String>> {
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: BTreeMap<String, Value> = serde_json::from_slice(&claims).unwrap_or_default();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let list = |value| match value {
        Value::Array(values) => values.into_iter().map(text).collect(),
        Value::Null => Vec::new(),
        value => vec![text(value)],
    };
    let claims = claims.into_iter();
    claims.map(|(name, value)| (name, list(value))).collect()
}

fn many(values: Option<OneOrMany>) -> Vec<String> {
    match values {
        None => Vec::new(),
        Some(OneOrMany::One(value)) => vec![value],
        Some(OneOrMany::Many(values)) => values,
    }
}

/// Whom a token names, and what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None`: it names nobody.
    pub(crate) user: Option<String>,
    pub(crate) roles: Vec<String>,
    /// The client is in them from the start.
    pub(crate) groups: Vec<String>,
}
