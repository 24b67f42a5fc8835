//! The check of a token.
//!
//! Owns the order of the checks: form, algorithm, signature, times, audience. Must not read a clock or a
//! file: both are handed in, so that a check costs only its arithmetic. Invariant: the algorithm that a token
//! names is compared with what the key allows, and never selects how it is verified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;

use super::{
    audience::{self, Endpoint},
    claims::{Claims, Identity, Seconds},
    error::{MAX_LENGTH, TokenError},
};
use crate::app::key::AccessKeys;

/// Verifies tokens.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// The primary first.
    keys: Vec<DecodingKey>,
    endpoints: Vec<Endpoint>,
}

/// What counts in the header of a token. Addresses of keys in it (`jku`, `x5u`, `jwk`) do not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood; none is.
    crit: Option<serde::de::IgnoredAny>,
}

/// A token in its parts, unverified.
struct Parts<'a> {
    header: Header,
    claims: Vec<u8>,
    /// What is signed.
    message: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| TokenError::Malformed)
        };
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            header,
            claims: decode(claims)?,
            message,
            signature,
        })
    }

    fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        crypto::verify(self.signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
    }
}

impl Verifier {
    /// Accepts tokens that one of the keys signed. Their audience must be at one of the endpoints, if there
    /// are any.
    pub(crate) fn new(keys: &AccessKeys, endpoints: Vec<Endpoint>) -> Self {
        let keys = [Some(&keys.primary), keys.secondary.as_ref()];
        let keys = keys.into_iter().flatten();
        let keys = keys.map(|key| DecodingKey::from_secret(key.expose().as_bytes()));
        Self {
            keys: keys.collect(),
            endpoints,
        }
    }

    /// Whom a token names, if it is valid now for a request to this path.
    pub(crate) fn verify(
        &self,
        token: &str,
        path: &str,
        now: Seconds,
    ) -> Result<Identity, TokenError> {
        let parts = Parts::split(token)?;
        if parts.header.alg != "HS256" {
            return Err(TokenError::Algorithm);
        }
        let mut keys = self.keys.iter();
        if !keys.any(|key| parts.is_signed_by(key, Algorithm::HS256)) {
            return Err(TokenError::Signature);
        }
        let mut claims = Claims::parse(&parts.claims)?;
        claims.check_time(now)?;
        audience::check(&claims.audiences(), path, &self.endpoints)?;
        Ok(claims.into_identity())
    }
}

#[cfg(test)]
mod tests;
