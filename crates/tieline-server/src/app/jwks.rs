//! Issuers: others who sign tokens of clients, with keys that they publish as a JSON Web Key Set (RFC 7517).
//!
//! Owns the keys of an issuer, and when they are read again. Must not know tokens. Invariants: what is read is
//! what the operator has named, never what a token names; a key is used with one algorithm only, which the
//! operator has allowed for the issuer; a key that signs and verifies with the same secret is never used.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use crate::config::sections::issuers::IssuerAlgorithm;

/// Keys are read again at most this often, however many tokens name keys that are not there.
const INTERVAL: Duration = Duration::from_secs(30);

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

/// What the operator says of an issuer.
#[derive(Debug, Clone)]
pub(crate) struct IssuerSettings {
    /// As in the claim `iss`.
    pub(crate) issuer: String,
    /// The file with its keys.
    pub(crate) keys: PathBuf,
    pub(crate) algorithms: Vec<IssuerAlgorithm>,
    /// What the claim `aud` must be; if `None`, the URL of the client, as in tokens by an access key.
    pub(crate) audience: Option<String>,
}

/// An issuer whose keys have been read.
pub(crate) struct Issuer {
    settings: IssuerSettings,
    keys: RwLock<Arc<[Key]>>,
    /// When the keys were read again. Locked while they are, so that others wait for the result.
    reread: Mutex<Option<Instant>>,
}

struct Key {
    id: Option<String>,
    algorithm: IssuerAlgorithm,
    verifies: DecodingKey,
}

/// Why the keys of an issuer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0} is not a JSON Web Key Set: {1}")]
    Json(PathBuf, serde_json::Error),
    #[error("{0} has no key for the algorithms of the issuer")]
    NoKey(PathBuf),
}

impl Issuer {
    /// Reads the keys.
    pub(crate) fn open(settings: IssuerSettings) -> Result<Self, KeySetError> {
        let keys = read(&settings.keys, &settings.algorithms)?;
        Ok(Self {
            settings,
            keys: RwLock::new(keys),
            reread: Mutex::default(),
        })
    }

    /// The name, as in the claim `iss`.
    pub(crate) fn name(&self) -> &str {
        &self.settings.issuer
    }

    pub(crate) fn audience(&self) -> Option<&str> {
        self.settings.audience.as_deref()
    }

    /// The algorithm of this name, if the issuer may use it.
    pub(crate) fn algorithm(&self, name: &str) -> Option<IssuerAlgorithm> {
        let algorithm = name.parse().ok()?;
        self.settings
            .algorithms
            .contains(&algorithm)
            .then_some(algorithm)
    }

    /// Whether one of the keys for the algorithm, of this id if the token has one, passes the check. `None`:
    /// there is no such key, or none passes and there is no id to tell a wrong key from a missing one.
    pub(crate) fn any_key(
        &self,
        id: Option<&str>,
        algorithm: IssuerAlgorithm,
        check: impl Fn(&DecodingKey) -> bool,
    ) -> Option<bool> {
        let keys = Arc::clone(&self.keys.read());
        let fits =
            |key: &&Key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id);
        let mut fitting = keys.iter().filter(fits).peekable();
        fitting.peek()?;
        match fitting.any(|key| check(&key.verifies)) {
            false if id.is_none() => None,
            passes => Some(passes),
        }
    }

    /// Reads the keys again, unless that was done within the last 30 s. If it fails, the keys stay as they are.
    pub(crate) async fn reread(&self) {
        let mut reread = self.reread.lock().await;
        if reread.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        *reread = Some(Instant::now());
        let IssuerSettings {
            keys, algorithms, ..
        } = self.settings.clone();
        let read = tokio::task::spawn_blocking(move || read(&keys, &algorithms)).await;
        match read {
            Ok(Ok(keys)) => *self.keys.write() = keys,
            Ok(Err(error)) => {
                tracing::warn!(issuer = self.name(), %error, "keeping the keys of an issuer as they were");
            }
            // The runtime shuts down.
            Err(_) => {}
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

fn read(file: &Path, algorithms: &[IssuerAlgorithm]) -> Result<Arc<[Key]>, KeySetError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let json = std::fs::read(file).map_err(|error| KeySetError::File(file.into(), error))?;
    let set: Set =
        serde_json::from_slice(&json).map_err(|error| KeySetError::Json(file.into(), error))?;
    // A set may have keys of kinds that are not known here.
    let known = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok());
    let keys: Arc<[Key]> = known.filter_map(|jwk| Key::new(&jwk, algorithms)).collect();
    if keys.is_empty() {
        return Err(KeySetError::NoKey(file.into()));
    }
    Ok(keys)
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

#[cfg(test)]
mod tests;
