//! Connects to a registry by its URL.
//!
//! Owns the choice by the scheme. Each registry reads the rest of its URL itself.

use std::sync::Arc;

use crate::{
    contract::Registry,
    error::{RegistryConfigError, RegistryError, RegistryErrorKind},
};

/// The certificates for a registry that uses TLS; all are PEM. Pass them to [`connect_with`].
#[derive(Debug, Clone, Default)]
pub struct RegistryTls {
    /// The authorities that may have signed the registry's certificate. Default: on Redis, those of the
    /// system; on etcd none, so that `etcds://` requires one.
    pub authority: Option<String>,
    /// The certificate of this process, and its key. Default: none.
    pub client: Option<(String, String)>,
}

/// Connects to the registry at a URL: `redis://`, `rediss://` and their `+sentinel` and `+cluster` forms
/// (feature `redis`), `etcd://` and `etcds://` (feature `etcd`).
///
/// `prefix` is the name of the cluster in the registry: the same on all its nodes, and a different one
/// for each cluster that shares the registry.
///
/// ```no_run
/// # async fn example() -> Result<(), tieline_registry::RegistryError> {
/// let registry = tieline_registry::connect("redis://:secret@10.0.0.1:6379", "ws").await?;
/// println!("{} nodes", registry.nodes().await?.len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A [permanent](RegistryError::is_permanent) error if the URL, the prefix, the user or a certificate
/// is wrong; any other if the registry cannot be reached now.
pub async fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Registry>, RegistryError> {
    connect_with(url, prefix, &RegistryTls::default()).await
}

/// As [`connect`], with certificates.
///
/// ```no_run
/// use tieline_registry::{RegistryTls, connect_with};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = RegistryTls {
///     authority: Some(std::fs::read_to_string("ca.pem")?),
///     ..RegistryTls::default()
/// };
/// let registry = connect_with("etcds://10.0.0.1:2379", "/ws/", &tls).await?;
/// # drop(registry);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`connect`]. On Redis, certificates require a `rediss` URL.
pub async fn connect_with(
    url: &str,
    prefix: &str,
    tls: &RegistryTls,
) -> Result<Arc<dyn Registry>, RegistryError> {
    match scheme(url) {
        // Boxed: they take kilobytes, which the caller's future would hold.
        #[cfg(feature = "redis")]
        scheme if REDIS.contains(&scheme) => Box::pin(redis(url, prefix, tls).connect())
            .await
            .map(|registry| Arc::new(registry) as _),
        #[cfg(feature = "etcd")]
        scheme if ETCD.contains(&scheme) => {
            let connecting = crate::etcd::EtcdRegistry::connect_with(url, prefix, etcd(tls));
            Box::pin(connecting)
                .await
                .map(|registry| Arc::new(registry) as _)
        }
        scheme => {
            let _ = (prefix, tls);
            let kind = RegistryErrorKind::Misconfigured;
            let why = unknown_scheme(scheme);
            Err(RegistryError::of_kind(kind, "read its URL", why))
        }
    }
}

/// What [`connect_with`] would refuse before it asks the registry: nothing is sent, and no connection is opened. Empty if
/// nothing is wrong. Needs no runtime.
///
/// Costs the parsing of the certificates; for `rediss://` without an authority, the system's are read.
///
/// ```
/// use tieline_registry::{RegistryTls, problems};
///
/// let problems = problems("localhost:6379", "ws", &RegistryTls::default());
/// assert_eq!(problems.len(), 1);
/// assert!(problems[0].to_string().starts_with("invalid URL of a registry"));
/// ```
pub fn problems(url: &str, prefix: &str, tls: &RegistryTls) -> Vec<RegistryConfigError> {
    match scheme(url) {
        #[cfg(feature = "redis")]
        scheme if REDIS.contains(&scheme) => redis(url, prefix, tls).problems(),
        #[cfg(feature = "etcd")]
        scheme if ETCD.contains(&scheme) => {
            crate::etcd::EtcdRegistry::problems(url, prefix, &etcd(tls))
        }
        scheme => {
            let _ = (prefix, tls);
            vec![RegistryConfigError::Url(unknown_scheme(scheme))]
        }
    }
}

fn scheme(url: &str) -> &str {
    url.split_once("://").map_or("", |(scheme, _)| scheme)
}

fn unknown_scheme(scheme: &str) -> String {
    let known = schemes().collect::<Vec<_>>().join(", ");
    if known.is_empty() {
        return "this build has no registry with a URL; enable the feature redis or etcd".into();
    }
    format!(
        "the scheme {scheme:?} is not one of: {known}; write a URL such as redis://127.0.0.1:6379"
    )
}

/// The schemes of URLs that this build can connect to, which depend on its features.
///
/// ```
/// let url = "redis://127.0.0.1:6379";
/// let scheme = url.split_once("://").map(|(scheme, _)| scheme);
/// let is_known = scheme.is_some_and(|scheme| tieline_registry::schemes().any(|known| known == scheme));
/// # assert_eq!(is_known, cfg!(feature = "redis"));
/// ```
pub fn schemes() -> impl Iterator<Item = &'static str> {
    REDIS.iter().chain(ETCD).copied()
}

const REDIS: &[&str] = if cfg!(feature = "redis") {
    &[
        "redis",
        "rediss",
        "redis+sentinel",
        "rediss+sentinel",
        "redis+cluster",
        "rediss+cluster",
    ]
} else {
    &[]
};
const ETCD: &[&str] = if cfg!(feature = "etcd") {
    &["etcd", "etcds"]
} else {
    &[]
};

#[cfg(feature = "redis")]
fn redis(url: &str, prefix: &str, tls: &RegistryTls) -> crate::redis::RedisOptions {
    let mut options = crate::redis::RedisOptions::new(url, prefix);
    if let Some(authority) = &tls.authority {
        options = options.certificate_authority(authority.as_str());
    }
    if let Some((certificate, key)) = &tls.client {
        options = options.client_certificate(certificate.as_str(), key.as_str());
    }
    options
}

#[cfg(feature = "etcd")]
fn etcd(tls: &RegistryTls) -> crate::etcd::EtcdOptions {
    let mut options = crate::etcd::EtcdOptions::new();
    if let Some(authority) = &tls.authority {
        options = options.ca_pem(authority.as_str());
    }
    if let Some((certificate, key)) = &tls.client {
        options = options.client_pem(certificate.as_str(), key.as_str());
    }
    options
}
