//! Signature Version 4 of AWS, verified.
//!
//! Owns what a valid signature is: by the one key pair, for the service `execute-api` in whatever region, of
//! now, over the host and all headers of AWS. Must not know what a request asks for. Invariants: the signature is
//! compared in constant time, and no error shows a part of it.

mod authorization;
mod canonical;
pub(super) mod error;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, request::Parts};

use self::{
    authorization::{ALGORITHM, Authorization},
    canonical::hash,
    error::SignatureError,
};

const SERVICE: &str = "execute-api";
const TERMINATOR: &str = "aws4_request";
const DATE: &str = "x-amz-date";
const SESSION_TOKEN: &str = "x-amz-security-token";

/// How far the clock of a backend may be from this one's, as at AWS. A captured request can be sent again for
/// as long.
const MAX_SKEW: Duration = Duration::from_mins(5);

/// The signature of a request, of which everything but itself has been checked.
pub(super) struct Signature<'a> {
    authorization: Authorization<'a>,
    date: &'a str,
}

impl<'a> Signature<'a> {
    /// Checks what can be checked without the body.
    pub(super) fn of(
        head: &'a Parts,
        key_id: &str,
        now: SystemTime,
    ) -> Result<Self, SignatureError> {
        let authorization = Authorization::of(&head.headers)?;
        if head.headers.contains_key(SESSION_TOKEN) {
            return Err(SignatureError::SessionToken);
        }
        if authorization.key_id != key_id {
            return Err(SignatureError::UnknownKey);
        }
        let date = date(&head.headers)?;
        let is_scope = authorization.service == SERVICE
            && authorization.terminator == TERMINATOR
            && !authorization.region.is_empty()
            && date.split('T').next() == Some(authorization.date);
        if !is_scope {
            return Err(SignatureError::Scope);
        }
        let moment = moment(date).ok_or(SignatureError::Date)?;
        let past = now.duration_since(moment);
        if past.unwrap_or_else(|future| future.duration()) > MAX_SKEW {
            return Err(SignatureError::Skew);
        }
        let ours = head.headers.keys().map(HeaderName::as_str);
        let required = ours
            .filter(|name| name.starts_with("x-amz-"))
            .chain(["host"]);
        if required.into_iter().any(|name| !authorization.signs(name)) {
            return Err(SignatureError::UnsignedHeader);
        }
        Ok(Self {
            authorization,
            date,
        })
    }

    /// Verifies the signature over the request and its body.
    pub(super) fn verify(
        &self,
        head: &Parts,
        body: &[u8],
        secret: &str,
    ) -> Result<(), SignatureError> {
        let Authorization {
            date: day,
            region,
            signed_headers,
            signature,
            ..
        } = &self.authorization;
        let request = canonical::request(head, signed_headers, body);
        let text = format!(
            "{ALGORITHM}\n{}\n{day}/{region}/{SERVICE}/{TERMINATOR}\n{}",
            self.date,
            hash(&request),
        );
        let first = format!("AWS4{secret}").into_bytes();
        let scope = [day, region, SERVICE, TERMINATOR];
        let key = scope.iter().fold(first, |key, part| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        // In constant time.
        hmac::verify(&key, text.as_bytes(), signature).map_err(|_| SignatureError::Mismatch)
    }
}

fn date(headers: &HeaderMap) -> Result<&str, SignatureError> {
    let mut dates = headers.get_all(DATE).iter();
    match (dates.next(), dates.next()) {
        (Some(date), None) => date.to_str().map_err(|_| SignatureError::Date),
        _ => Err(SignatureError::Date),
    }
}

/// The moment that is written as in `20261122T120000Z`.
fn moment(date: &str) -> Option<SystemTime> {
    let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(day, 8) || !digits(time, 6) {
        return None;
    }
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    humantime::parse_rfc3339(&text).ok()
}
