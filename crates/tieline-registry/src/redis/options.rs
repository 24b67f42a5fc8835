//! The options of a registry on Redis, and connecting with them.
//!
//! Owns the defaults, and the check of the options against the URL. Must not know the operations. Invariants:
//! URL, options and certificates are checked before anything is sent; no debug output contains a secret.

use std::{fmt, time::Duration};

use super::{
    client::ReconnectingClient,
    connection::ConnectionConfig,
    connector::Connector,
    keys::{KeyUse, Keys, are_in_one_slot},
    registry::RedisRegistry,
    reply::clock,
    scripts::CHECK,
    tls::{Certificates, Tls, TlsError},
    url::{Credentials, Deployment, Target},
};
use crate::error::{RegistryConfigError, RegistryError, RegistryErrorKind};

/// The default timeout of an operation.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The options of a [`RedisRegistry`] that its URL cannot express: timeout, certificates, and credentials
/// for sentinels.
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

/// Why options cannot be used.
#[derive(Debug, thiserror::Error)]
enum OptionsError {
    #[error("the prefix is empty; it is the name of the hash with the clients")]
    EmptyPrefix,
    #[error(
        "the prefix has a closing brace outside a hash tag, so that its keys would be on several \
         servers of the cluster; choose a prefix without braces"
    )]
    PrefixOverSlots,
    #[error("the timeout is zero")]
    ZeroTimeout,
    #[error("credentials for sentinels require a redis+sentinel:// URL")]
    NoSentinel,
}

impl RedisOptions {
    /// The URL of the servers, and the prefix: the name of the hash with the clients. [`RedisRegistry`]
    /// documents both. They are checked when it connects.
    pub fn new(url: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: prefix.into(),
            timeout: TIMEOUT,
            certificates: Certificates::default(),
            sentinel_credentials: None,
        }
    }

    /// How long an operation may take, a new connection included. Default: 1 s. If a server is silent for
    /// so long, the next operation uses a new connection. A shorter timeout detects a dead connection
    /// sooner, and fails sooner on a slow server. Must not be zero.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The certificate authorities to trust instead of the system's, as PEM. Requires a `rediss` URL.
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(pem.into());
        self
    }

    /// The client certificate: the chain, leaf first, and its private key, both as PEM. Requires a
    /// `rediss` URL. Default: none.
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.identity = Some((chain.into(), key.into()));
        self
    }

    /// The user and password for the sentinels, instead of those in the URL's parameters. `None` is the
    /// default user. Without either, the sentinels are asked without credentials. Requires a
    /// `redis+sentinel` URL.
    pub fn sentinel_credentials(
        mut self,
        user: Option<String>,
        password: impl Into<String>,
    ) -> Self {
        let password = password.into();
        self.sentinel_credentials = Some(Credentials { user, password });
        self
    }

    /// Connects and checks the server, as [`RedisRegistry::connect`] does.
    ///
    /// # Errors
    ///
    /// As [`RedisRegistry::connect`].
    pub async fn connect(&self) -> Result<RedisRegistry, RegistryError> {
        let mut target =
            Target::parse(&self.url).map_err(|error| misconfigured("use the Redis URL", error))?;
        self.check(&mut target)
            .map_err(|error| misconfigured("use the options for Redis", error))?;
        let tls = self
            .tls(target.tls)
            .map_err(|error| misconfigured("use the certificates for Redis", error))?;
        let config = ConnectionConfig {
            tls,
            credentials: target.credentials.clone(),
            database: target.database,
        };
        let keys = Keys::new(&self.prefix);
        let connector = Connector::new(target, config, keys.clone(), self.timeout);
        let client = ReconnectingClient::new(connector, self.timeout);
        client.connect().await?;
        // The connector has called the check by its text; a call by hash needs another permission.
        let check = CHECK.call(&keys, KeyUse::NodeAndEntries(""));
        let time = client.call("connect", check).await?;
        if let Some(time) = clock(time) {
            client.observe(time);
        }
        Ok(RedisRegistry { client, keys })
    }

    /// What [`connect`](Self::connect) would refuse before it asks a server.
    pub(crate) fn problems(&self) -> Vec<RegistryConfigError> {
        let (target, url) = match Target::parse(&self.url) {
            Ok(target) => (Some(target), None),
            Err(error) => (None, Some(RegistryConfigError::Url(error.to_string()))),
        };
        let Certificates {
            authorities,
            identity,
        } = &self.certificates;
        let has_certificates = authorities.is_some() || identity.is_some();
        // Without a URL, what depends on it is left out.
        let needs_tls = target
            .as_ref()
            .map_or(has_certificates, |target| target.tls);
        let tls = self.tls(needs_tls).err();
        let tls = tls.map(|error| RegistryConfigError::Tls(error.to_string()));
        let options = match target {
            Some(mut target) => self.check(&mut target).err(),
            None => self.prefix.is_empty().then_some(OptionsError::EmptyPrefix),
        };
        let prefix = options.map(|error| RegistryConfigError::Prefix(error.to_string()));
        [url, prefix, tls].into_iter().flatten().collect()
    }

    fn check(&self, target: &mut Target) -> Result<(), OptionsError> {
        if self.prefix.is_empty() {
            return Err(OptionsError::EmptyPrefix);
        }
        if target.deployment == Deployment::Cluster && !are_in_one_slot(&self.prefix) {
            return Err(OptionsError::PrefixOverSlots);
        }
        if self.timeout.is_zero() {
            return Err(OptionsError::ZeroTimeout);
        }
        if let Some(given) = &self.sentinel_credentials {
            let Deployment::Sentinel { credentials, .. } = &mut target.deployment else {
                return Err(OptionsError::NoSentinel);
            };
            *credentials = Some(given.clone());
        }
        Ok(())
    }

    fn tls(&self, required: bool) -> Result<Option<Tls>, TlsError> {
        let Certificates {
            authorities,
            identity,
        } = &self.certificates;
        match required {
            true => Tls::new(&self.certificates).map(Some),
            false if authorities.is_some() || identity.is_some() => Err(TlsError::PlainUrl),
            false => Ok(None),
        }
    }
}

// By hand: the URL may contain a password, and a private key is a secret.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl RedisRegistry {
    /// Connects to the servers of a URL, and checks that the one with the data is not a replica, is recent
    /// enough, and permits what is needed. For further options, see [`RedisOptions`].
    ///
    /// # Errors
    ///
    /// A [permanent](RegistryError::is_permanent) error if the configuration has to change; its message
    /// says what. Any other if the server cannot be reached now. Takes at most three times the timeout.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RegistryError> {
        RedisOptions::new(url, prefix).connect().await
    }
}

fn misconfigured(
    operation: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> RegistryError {
    RegistryError::of_kind(RegistryErrorKind::Misconfigured, operation, error)
}
