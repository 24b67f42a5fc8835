//! A registry by its URL.

use std::sync::Arc;

use crate::{contract::Registry, error::RegistryError};

/// Certificates for a registry that speaks TLS; all are PEM.
#[derive(Debug, Clone, Default)]
pub struct RegistryTls {
    /// The authority that signed the registry's certificate. Default: on Redis those of the system; on
    /// etcd there is none, and `etcds://` needs one.
    pub authority: Option<String>,
    /// The certificate and key that this process shows. Default: none.
    pub client: Option<(String, String)>,
}

/// Connects to the registry that a URL names: `redis://`, `rediss://` and their `+sentinel` and
/// `+cluster` forms (feature `redis`), `etcd://` and `etcds://` (feature `etcd`). Entries stand under
/// `prefix`, which all nodes share. Fails where the registry cannot be reached, or the URL cannot be
/// read.
pub async fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Registry>, RegistryError> {
    connect_with(url, prefix, &RegistryTls::default()).await
}

/// The same with certificates.
pub async fn connect_with(
    url: &str,
    prefix: &str,
    tls: &RegistryTls,
) -> Result<Arc<dyn Registry>, RegistryError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "redis")]
        _ if REDIS.contains(&scheme) => redis(url, prefix, tls).await,
        #[cfg(feature = "etcd")]
        _ if ETCD.contains(&scheme) => etcd(url, prefix, tls).await,
        _ => {
            let _ = (prefix, tls);
            let known = [REDIS, ETCD].concat();
            let why =
                format!("{scheme:?} is none of {known:?}; write it as in redis://127.0.0.1:6379");
            Err(RegistryError::refused("be chosen by its URL", why))
        }
    }
}

/// The schemes for which this build has a registry.
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
async fn redis(
    url: &str,
    prefix: &str,
    tls: &RegistryTls,
) -> Result<Arc<dyn Registry>, RegistryError> {
    let mut options = crate::redis::RedisOptions::new(url, prefix);
    if let Some(authority) = &tls.authority {
        options = options.certificate_authority(authority.as_str());
    }
    if let Some((certificate, key)) = &tls.client {
        options = options.client_certificate(certificate.as_str(), key.as_str());
    }
    Ok(Arc::new(options.connect().await?))
}

#[cfg(feature = "etcd")]
async fn etcd(
    url: &str,
    prefix: &str,
    tls: &RegistryTls,
) -> Result<Arc<dyn Registry>, RegistryError> {
    let mut options = crate::etcd::EtcdOptions::new();
    if let Some(authority) = &tls.authority {
        options = options.ca_pem(authority.as_str());
    }
    if let Some((certificate, key)) = &tls.client {
        options = options.client_pem(certificate.as_str(), key.as_str());
    }
    let registry = crate::etcd::EtcdRegistry::connect_with(url, prefix, options).await?;
    Ok(Arc::new(registry))
}
