//! Whether a request is signed with the secret of an app.
//!
//! Owns the parameters of a query, and the text that is signed: over the bytes as they came, because libraries differ
//! in what they encode. Must not know what is asked for. Invariants: of two parameters with one name neither counts,
//! so that nothing is signed in one reading and used in another; the body is not needed until the signature is known
//! to be good, because its hash is signed with the rest.

use std::{borrow::Cow, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;

use crate::wire::pusher::app::App;

/// How far the clocks of backends may be off.
const TOLERANCE: Duration = Duration::from_mins(10);

const SIGNATURE: &str = "auth_signature";
const BODY_MD5: &str = "body_md5";

/// The parameters of a query, decoded, their names in lower case and in order.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// The query cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidQuery {
    #[error("a parameter of the query is given twice")]
    Twice,
    #[error("the query is not UTF-8")]
    NotUtf8,
}

/// Why a request may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unauthorized {
    #[error("auth_key, auth_timestamp, auth_version and auth_signature are required")]
    Missing,
    #[error("auth_key is not the key of this app")]
    Key,
    #[error("auth_version must be 1.0")]
    Version,
    #[error("auth_timestamp is not within 600 s of the time of the server, in seconds since 1970")]
    Timestamp,
    #[error(
        "auth_signature is wrong; expected are the hex digits, in lower case, of the HMAC-SHA256 of method, path and \
         sorted query"
    )]
    Signature,
    #[error("body_md5 is required, and must be the MD5 of the body in lower-case hex digits")]
    Body,
}

impl Unauthorized {
    /// A word for logs and metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no_signature",
            Self::Key => "key",
            Self::Version => "version",
            Self::Timestamp => "expired",
            Self::Signature => "signature",
            Self::Body => "body",
        }
    }
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Result<Self, InvalidQuery> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let mut name = decode(name)?;
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                name.to_mut().make_ascii_lowercase();
            }
            Ok((name, decode(value)?))
        });
        let mut pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        pairs.sort_unstable();
        if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(InvalidQuery::Twice);
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(other, _)| other == name);
        pair.map(|(_, value)| &**value)
    }

    /// The key that the request names.
    pub(super) fn key(&self) -> Option<&str> {
        self.get("auth_key")
    }

    /// Checks everything but the body.
    pub(super) fn verify(
        &self,
        app: &App,
        (method, path): (&str, &str),
        now: u64,
    ) -> Result<(), Unauthorized> {
        let required = |name| self.get(name).ok_or(Unauthorized::Missing);
        let (key, timestamp) = (required("auth_key")?, required("auth_timestamp")?);
        let (version, signature) = (required("auth_version")?, required(SIGNATURE)?);
        if verify_slices_are_equal(key.as_bytes(), app.key.as_bytes()).is_err() {
            return Err(Unauthorized::Key);
        }
        if version != "1.0" {
            return Err(Unauthorized::Version);
        }
        let timestamp = timestamp.parse::<u64>().ok();
        if timestamp.is_none_or(|then| now.abs_diff(then) > TOLERANCE.as_secs()) {
            return Err(Unauthorized::Timestamp);
        }
        if app.has_signed(&self.text(method, path), signature) {
            return Ok(());
        }
        // Some libraries sign what they were given, and send it encoded.
        let decoded = percent_decode_str(path).decode_utf8();
        let decoded = decoded.ok().filter(|decoded| *decoded != path);
        let is_signed = |path: Cow<'_, str>| app.has_signed(&self.text(method, &path), signature);
        decoded
            .is_some_and(is_signed)
            .then_some(())
            .ok_or(Unauthorized::Signature)
    }

    /// Checks the body of a request that is signed.
    pub(super) fn verify_body(&self, body: &[u8]) -> Result<(), Unauthorized> {
        // Python gives that of nothing on a GET.
        let is_body = |md5: &str| {
            let digest = Md5::digest(body);
            let digits = md5.as_bytes();
            let pairs = digits.chunks(2).zip(&digest);
            let hex = |byte: u8| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            digits.len() == 2 * digest.len() && { pairs }.all(|(pair, byte)| *pair == hex(*byte))
        };
        match self.get(BODY_MD5) {
            Some(md5) => is_body(md5),
            None => body.is_empty(),
        }
        .then_some(())
        .ok_or(Unauthorized::Body)
    }

    /// What is signed.
    fn text(&self, method: &str, path: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(256);
        for part in [method, "\n", path, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        let signed = self.0.iter().filter(|(name, _)| name != SIGNATURE);
        for (at, (name, value)) in signed.enumerate() {
            let separator = if at == 0 { "" } else { "&" };
            for part in [separator, name, "=", value] {
                text.extend_from_slice(part.as_bytes());
            }
        }
        text
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Only what is encoded is decoded: a `+` is a plus.
fn decode(text: &str) -> Result<Cow<'_, str>, InvalidQuery> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| InvalidQuery::NotUtf8)
}

#[cfg(test)]
mod tests;
