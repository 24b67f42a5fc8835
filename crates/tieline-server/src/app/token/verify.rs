//! The check of a token.
//!
//! Owns the order of the checks: form, algorithm, signature, times, audience. Must not read a clock or a
//! file: both are handed in, so that a check costs only its arithmetic. Invariant: the algorithm that a token
//! names is compared with what the key allows, and never selects how it is verified.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;

use super::{
    audience::{self, Endpoint},
    claims::{Claims, Identity, Seconds},
    error::{MAX_LENGTH, TokenError},
};
use crate::app::{
    jwks::issuer::{Checked, Issuer, Issuers},
    key::AccessKeys,
};

/// Tokens of issuers are for paths below this one only.
const CLIENTS: &str = "/client/";

/// Verifies tokens.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// The primary first, each prepared once: that takes half as long as a signature.
    keys: Vec<hmac::Key>,
    issuers: Issuers,
    endpoints: Vec<Endpoint>,
}

/// What counts in the header of a token. Addresses of keys in it (`jku`, `x5u`, `jwk`) do not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
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

    /// By HS256 (RFC 7518, 3.2).
    fn is_signed_by_any(&self, keys: &[hmac::Key]) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(self.signature) else {
            return false;
        };
        let is_signed = |key| hmac::verify(key, self.message.as_bytes(), &signature).is_ok();
        keys.iter().any(is_signed)
    }

    fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        crypto::verify(self.signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
    }
}

impl Verifier {
    /// Accepts tokens that one of the keys signed, and those of issuers. An audience that is a URL must be at
    /// one of the endpoints, if there are any.
    pub(crate) fn new(
        keys: Option<&AccessKeys>,
        issuers: Issuers,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        let keys = keys.into_iter();
        let keys = keys.flat_map(|keys| [Some(&keys.primary), keys.secondary.as_ref()]);
        let keys = keys.flatten();
        let keys = keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()));
        Self {
            keys: keys.collect(),
            issuers,
            endpoints,
        }
    }

    /// Whom a token names, if it is valid now for a request to this path.
    ///
    /// After [`TokenError::UnknownKey`] and [`TokenError::NoKeys`], its [`issuer`](Self::issuer) may have the key when it is asked again.
    pub(crate) fn verify(
        &self,
        token: &str,
        path: &str,
        now: Seconds,
    ) -> Result<Identity, TokenError> {
        let parts = Parts::split(token)?;
        if parts.header.alg == "HS256" {
            return self.by_key(&parts, path, now);
        }
        // The algorithm alone selects who may have signed, so that no public key is ever taken for a secret.
        if self.issuers.is_empty() || !path.starts_with(CLIENTS) {
            return Err(TokenError::Algorithm);
        }
        let claims = Claims::parse(&parts.claims)?;
        let issuer = self.issuer_of(&claims).ok_or(TokenError::Issuer)?;
        self.by_issuer(issuer, &parts, claims, path, now)
    }

    fn by_key(&self, parts: &Parts<'_>, path: &str, now: Seconds) -> Result<Identity, TokenError> {
        if !parts.is_signed_by_any(&self.keys) {
            return Err(TokenError::Signature);
        }
        let mut claims = Claims::parse(&parts.claims)?;
        claims.check_time(now)?;
        audience::check(&claims.audiences(), path, &self.endpoints)?;
        Ok(claims.into_identity())
    }

    fn by_issuer(
        &self,
        issuer: &Issuer,
        parts: &Parts<'_>,
        mut claims: Claims,
        path: &str,
        now: Seconds,
    ) -> Result<Identity, TokenError> {
        let Header { alg, kid, .. } = &parts.header;
        let algorithm = issuer.algorithm(alg).ok_or(TokenError::Algorithm)?;
        let by = |key: &DecodingKey| parts.is_signed_by(key, algorithm.to_jwt());
        match issuer.check(kid.as_deref(), algorithm, by) {
            Checked::NoKeys => return Err(TokenError::NoKeys),
            Checked::UnknownKey => return Err(TokenError::UnknownKey),
            Checked::Failed => return Err(TokenError::Signature),
            Checked::Passed => {}
        }
        claims.check_time(now)?;
        let audiences = claims.audiences();
        match issuer.audience() {
            None => audience::check(&audiences, path, &self.endpoints)?,
            Some(own) if audiences.iter().any(|audience| audience == own) => {}
            Some(_) => return Err(TokenError::Service),
        }
        Ok(claims.into_identity())
    }

    /// The audience of a token that is this path, without its query. The token must have been verified.
    pub(crate) fn url(&self, token: &str, path: &str) -> Option<String> {
        let parts = Parts::split(token).ok()?;
        let audiences = Claims::parse(&parts.claims).ok()?.audiences();
        let mut audiences = audiences.into_iter();
        let url = audiences.find(|audience| {
            let audience = std::slice::from_ref(audience);
            audience::check(audience, path, &self.endpoints).is_ok()
        })?;
        let end = url.find(['?', '#']).unwrap_or(url.len());
        Some(url[..end].to_owned())
    }

    /// The issuer that a token names, whether or not it has signed it.
    pub(crate) fn issuer(&self, token: &str) -> Option<&Arc<Issuer>> {
        let parts = Parts::split(token).ok()?;
        self.issuer_of(&Claims::parse(&parts.claims).ok()?)
    }

    fn issuer_of(&self, claims: &Claims) -> Option<&Arc<Issuer>> {
        let name = claims.iss.as_deref()?;
        self.issuers.iter().find(|issuer| issuer.name() == name)
    }
}

#[cfg(test)]
mod tests;
