//! An issuer, and when its keys are read again.
//!
//! Owns the keys that are in force. Must not know what a key set looks like. Invariants: at most one read is under
//! way for an issuer, and tokens cause one in [`INTERVAL`] at most; a client that goes away cancels none.

use std::{fmt, sync::Arc, time::Duration};

use jsonwebtoken::DecodingKey;
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    keys::{self, Key, KeySetError},
    source::{ReadError, Source},
};
use crate::config::sections::issuers::IssuerAlgorithm;

/// Tokens cause at most one read in this time, however many name keys that are not there.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long until a fetch that failed is tried again, at first and at most. In between, twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), INTERVAL);

/// What the operator says of an issuer.
#[derive(Clone)]
pub(crate) struct IssuerSettings {
    /// As in the claim `iss`.
    pub(crate) issuer: String,
    /// Where its keys are.
    pub(crate) keys: Source,
    pub(crate) algorithms: Vec<IssuerAlgorithm>,
    /// What the claim `aud` must be; if `None`, the URL of the client, as in tokens by an access key.
    pub(crate) audience: Option<String>,
}

/// An issuer with its keys.
pub(crate) struct Issuer {
    settings: IssuerSettings,
    /// `None` until they were fetched.
    keys: RwLock<Option<Arc<[Key]>>>,
    /// When a token last caused a read. Locked while any read is under way, so that others wait for the result.
    caused: Arc<Mutex<Option<Instant>>>,
}

/// Why the keys of an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error("cannot read {0}: {1}")]
    Read(String, ReadError),
    #[error("{0} {1}")]
    KeySet(String, KeySetError),
}

/// What the keys of an issuer say of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Passed,
    Failed,
    /// There is no such key, or none passes and there is no id to tell a wrong key from a missing one.
    UnknownKey,
    /// They were not fetched yet.
    NoKeys,
}

impl Issuer {
    /// An issuer whose keys are in a file is read now; one whose keys are behind a URL has none until they are
    /// [fetched](Issuers::keep_fresh).
    pub(crate) fn open(settings: IssuerSettings) -> Result<Arc<Self>, IssuerError> {
        let keys = match &settings.keys {
            Source::File(path) => {
                let json = std::fs::read(path);
                let name = settings.keys.to_string();
                let json = json.map_err(|error| IssuerError::Read(name, error.into()))?;
                Some(parse(&settings, &json)?)
            }
            Source::Url(_) => None,
        };
        Ok(Arc::new(Self {
            settings,
            keys: RwLock::new(keys),
            caused: Arc::default(),
        }))
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

    /// Whether one of the keys for the algorithm, of this id if the token has one, passes the check.
    pub(crate) fn check(
        &self,
        id: Option<&str>,
        algorithm: IssuerAlgorithm,
        passes: impl Fn(&DecodingKey) -> bool,
    ) -> Checked {
        let Some(keys) = self.current() else {
            return Checked::NoKeys;
        };
        let fits =
            |key: &&Key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id);
        let mut fitting = keys.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            return Checked::UnknownKey;
        }
        match fitting.any(|key| passes(&key.verifies)) {
            true => Checked::Passed,
            false if id.is_none() => Checked::UnknownKey,
            false => Checked::Failed,
        }
    }

    fn current(&self) -> Option<Arc<[Key]>> {
        self.keys.read().clone()
    }

    /// Reads the keys again because of a token, unless a token caused that within the last 30 s. Waits for a read
    /// that is under way, and is content with what it brings.
    pub(crate) async fn reread(self: &Arc<Self>) {
        let before = self.current();
        let mut turn = Arc::clone(&self.caused).lock_owned().await;
        let is_same = match (&before, &self.current()) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            _ => false,
        };
        if !is_same || turn.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        *turn = Some(Instant::now());
        // In a task: a stranger who hangs up must not use up the one read of the interval. It ends with the
        // runtime at the latest, and by itself after the time of a fetch.
        let _ = tokio::spawn(Arc::clone(self).read(turn)).await;
    }

    /// Reads the keys. If it fails, those that were read before stay. The turn ends after that.
    async fn read(
        self: Arc<Self>,
        _turn: OwnedMutexGuard<Option<Instant>>,
    ) -> Result<(), IssuerError> {
        let (issuer, source) = (self.name(), &self.settings.keys);
        let read = match source.read().await {
            Ok(json) => parse(&self.settings, &json),
            Err(error) => Err(IssuerError::Read(source.to_string(), error)),
        };
        match &read {
            Ok(keys) => {
                if self.keys.write().replace(Arc::clone(keys)).is_none() {
                    tracing::info!(issuer, "fetched the keys of an issuer");
                }
            }
            Err(error) if self.current().is_some() => {
                tracing::warn!(issuer, %error, "keeping the keys of an issuer as they were");
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "refusing the tokens of an issuer until its keys are there");
            }
        }
        read.map(drop)
    }

    /// Fetches the keys at once, then regularly, and sooner after a failure. Never ends.
    async fn keep_fresh(self: Arc<Self>) {
        let Source::Url(remote) = &self.settings.keys else {
            return std::future::pending().await;
        };
        let mut retry = RETRY.0;
        loop {
            let turn = Arc::clone(&self.caused).lock_owned().await;
            if Arc::clone(&self).read(turn).await.is_ok() {
                retry = RETRY.0;
                sleep(remote.refresh).await;
            } else {
                sleep(retry.min(remote.refresh)).await;
                retry = (retry * 2).min(RETRY.1);
            }
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.settings.issuer)
            .field("keys", &self.settings.keys.to_string())
            .finish_non_exhaustive()
    }
}

fn parse(settings: &IssuerSettings, json: &[u8]) -> Result<Arc<[Key]>, IssuerError> {
    keys::parse(json, &settings.algorithms)
        .map_err(|error| IssuerError::KeySet(settings.keys.to_string(), error))
}

/// The issuers of a configuration. Clones share their keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Issuers(Arc<[Arc<Issuer>]>);

impl Issuers {
    pub(crate) fn new(issuers: Vec<Arc<Issuer>>) -> Self {
        Self(issuers.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the keys behind URLs up to date, until it is dropped.
    pub(crate) async fn keep_fresh(&self) {
        let mut tasks = JoinSet::new();
        for issuer in &*self.0 {
            tasks.spawn(Arc::clone(issuer).keep_fresh());
        }
        while tasks.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }

    /// Takes over keys that were fetched from the same URLs, so that a reload refuses nobody.
    pub(crate) fn adopt(&self, old: &Self) {
        for issuer in &*self.0 {
            let same = |old: &&Arc<Issuer>| {
                old.settings.keys.is_same_url(&issuer.settings.keys)
                    && old.settings.algorithms == issuer.settings.algorithms
            };
            if let Some(old) = old.0.iter().find(same) {
                *issuer.keys.write() = old.current();
            }
        }
    }
}

#[cfg(test)]
mod tests;
