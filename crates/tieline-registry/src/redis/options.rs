//! What a registry on Redis is made with.

use std::{fmt, time::Duration};

use super::{
    RedisRegistry,
    client::ReconnectingClient,
    connection::Access,
    connector::Connector,
    keys::{Keys, in_one_slot},
    scripts::CHECK,
    tls::{Certificates, Tls, TlsError},
    url::{Credentials, Deployment, Target},
};
use crate::error::RegistryError;

/// How long an operation may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What a [`RedisRegistry`] is made with, beyond the defaults of [`RedisRegistry::connect`].
///
/// ```no_run
/// # async fn example(authority: Vec<u8>) -> Result<(), tieline_registry::RegistryError> {
/// use tieline_registry::RedisOptions;
///
/// let registry = RedisOptions::new("rediss://tieline:secret@redis.internal:6380", "ws")
///     .certificate_authority(authority)
///     .connect()
///     .await?;
/// # drop(registry);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    url: String,
    prefix: String,
    timeout: Duration,
    certificates: Certificates,
    sentinel_credentials: Option<Credentials>,
}

/// What cannot be used together.
#[derive(Debug, thiserror::Error)]
enum OptionsError {
    #[error("the prefix is empty; it names the hash in which clients are found")]
    EmptyPrefix,
    #[error(
        "the prefix has a closing brace outside a hash tag, so that its keys would be on several \
         servers of the cluster; choose one without braces"
    )]
    TornPrefix,
    #[error("the timeout is zero")]
    NoTime,
    #[error("credentials for sentinels are given, but the URL is no redis+sentinel:// one")]
    NoSentinel,
}

impl RedisOptions {
    /// The servers, and the name of the hash in which clients are found. Both are described at
    /// [`RedisRegistry`]; they are read when it connects.
    pub fn new(url: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: prefix.into(),
            timeout: TIMEOUT,
            certificates: Certificates::default(),
            sentinel_credentials: None,
        }
    }

    /// How long an operation may take, a new connection included. Default: 1 s. A server that keeps
    /// silent for so long is dialled anew; a shorter time notices a dead connection sooner, and gives
    /// up a slow server sooner.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts these certificate authorities, PEM text, instead of the system's. Needs a `rediss` URL.
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(pem.into());
        self
    }

    /// Shows the servers a certificate: the chain, leaf first, and its private key, PEM text both.
    /// Needs a `rediss` URL.
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.identity = Some((chain.into(), key.into()));
        self
    }

    /// The user and password for the sentinels themselves, instead of those of the URL's parameters;
    /// by default they are asked without. `None` is the default user.
    pub fn sentinel_credentials(
        mut self,
        user: Option<String>,
        password: impl Into<String>,
    ) -> Self {
        let password = password.into();
        self.sentinel_credentials = Some(Credentials { user, password });
        self
    }

    /// Reaches the servers and checks them, as [`RedisRegistry::connect`] does.
    pub async fn connect(&self) -> Result<RedisRegistry, RegistryError> {
        let unusable = |error| RegistryError::refused("use these options for Redis", error);
        let what = "use the URL of Redis";
        let mut target =
            Target::parse(&self.url).map_err(|error| RegistryError::refused(what, error))?;
        self.check(&mut target).map_err(unusable)?;
        let what = "use the certificates for Redis";
        let tls = self.tls(target.tls);
        let access = Access {
            tls: tls.map_err(|error| RegistryError::refused(what, error))?,
            credentials: target.credentials.clone(),
            database: target.database,
        };
        let keys = Keys::new(&self.prefix);
        let connector = Connector::new(target, access, keys.clone(), self.timeout);
        let client = ReconnectingClient::new(connector, self.timeout);
        client.open().await?;
        // The dial has called the check by its text; by its hash needs a permission of its own.
        client.ask("connect", CHECK.call(&keys, "")).await?;
        Ok(RedisRegistry { client, keys })
    }

    fn check(&self, target: &mut Target) -> Result<(), OptionsError> {
        if self.prefix.is_empty() {
            return Err(OptionsError::EmptyPrefix);
        }
        if target.deployment == Deployment::Cluster && !in_one_slot(&self.prefix) {
            return Err(OptionsError::TornPrefix);
        }
        if self.timeout.is_zero() {
            return Err(OptionsError::NoTime);
        }
        if let Some(given) = &self.sentinel_credentials {
            let Deployment::Sentinel { credentials, .. } = &mut target.deployment else {
                return Err(OptionsError::NoSentinel);
            };
            *credentials = Some(given.clone());
        }
        Ok(())
    }

    fn tls(&self, wanted: bool) -> Result<Option<Tls>, TlsError> {
        let Certificates {
            authorities,
            identity,
        } = &self.certificates;
        match wanted {
            true => Tls::new(&self.certificates).map(Some),
            false if authorities.is_some() || identity.is_some() => Err(TlsError::Plain),
            false => Ok(None),
        }
    }
}

// By hand: the URL may hold a password, and the key is one.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
