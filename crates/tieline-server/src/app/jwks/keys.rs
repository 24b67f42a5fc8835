//! A JSON Web Key Set, as far as it is used.
//!
//! Owns which keys of a set are used, and with which algorithm. Must not know where it comes from.

use std::{str::FromStr, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;

use crate::config::sections::issuers::IssuerAlgorithm;

/// Most keys of a set that are used. A token without a key id is tried with each of them.
const MAX_KEYS: usize = 100;

impl IssuerAlgorithm {
    pub(crate) fn to_jwt(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }

    /// Whether the key is one for this algorithm.
    fn fits(self, jwk: &Jwk) -> bool {
        let (named, fits) = match (self, &jwk.algorithm) {
            (Self::Rs256, AlgorithmParameters::RSA(_)) => (KeyAlgorithm::RS256, true),
            (Self::Es256, AlgorithmParameters::EllipticCurve(key)) => {
                (KeyAlgorithm::ES256, key.curve == EllipticCurve::P256)
            }
            (Self::EdDsa, AlgorithmParameters::OctetKeyPair(key)) => {
                (KeyAlgorithm::EdDSA, key.curve == EllipticCurve::Ed25519)
            }
            _ => return false,
        };
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref();
        fits && common
            .key_algorithm
            .is_none_or(|algorithm| algorithm == named)
            && signs.is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
    }
}

impl FromStr for IssuerAlgorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDsa),
            _ => Err("expected RS256, ES256 or EdDSA".into()),
        }
    }
}

/// A key, for one algorithm.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: IssuerAlgorithm,
    pub(super) verifies: DecodingKey,
}

/// Why a text has no keys that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("is not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("has no key for the algorithms of the issuer")]
    NoKey,
    #[error("has more than {MAX_KEYS} keys for the algorithms of the issuer")]
    TooMany,
}

/// The keys of a set for these algorithms.
pub(super) fn parse(
    json: &[u8],
    algorithms: &[IssuerAlgorithm],
) -> Result<Arc<[Key]>, KeySetError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(json)?;
    // A set may have keys of kinds that are not known here.
    let known = set.keys.into_iter();
    let known = known.filter_map(|key| serde_json::from_value(key).ok());
    let keys: Arc<[Key]> = known.filter_map(|jwk| Key::new(&jwk, algorithms)).collect();
    match keys.len() {
        0 => Err(KeySetError::NoKey),
        1..=MAX_KEYS => Ok(keys),
        _ => Err(KeySetError::TooMany),
    }
}

impl Key {
    fn new(jwk: &Jwk, algorithms: &[IssuerAlgorithm]) -> Option<Self> {
        let algorithm = algorithms.iter().find(|algorithm| algorithm.fits(jwk))?;
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithm: *algorithm,
            verifies: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}
