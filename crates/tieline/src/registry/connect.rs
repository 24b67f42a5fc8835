//! A registry by its URL.

use std::sync::Arc;

use super::{Registry, RegistryError};

/// Connects to the registry that a URL names: `redis://`, `rediss://` and their `+sentinel` and
/// `+cluster` forms (feature `redis`), `etcd://` and `etcds://` (feature `etcd`). Entries stand under
/// `prefix`, which all nodes share. Fails where the registry cannot be reached, or the URL cannot be
/// read.
pub async fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Registry>, RegistryError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
        | "rediss+cluster" => Ok(Arc::new(super::RedisRegistry::connect(url, prefix).await?)),
        #[cfg(feature = "etcd")]
        "etcd" | "etcds" => Ok(Arc::new(super::EtcdRegistry::connect(url, prefix).await?)),
        _ => Err(RegistryError::refused(
            "be chosen by its URL",
            format!("{scheme:?} is none of {KNOWN:?}; write it as in redis://127.0.0.1:6379"),
        )),
    }
}

/// Schemes for which this build has a registry.
const KNOWN: &[&str] = &[
    #[cfg(feature = "redis")]
    "redis",
    #[cfg(feature = "redis")]
    "rediss",
    #[cfg(feature = "redis")]
    "redis+sentinel",
    #[cfg(feature = "redis")]
    "redis+cluster",
    #[cfg(feature = "etcd")]
    "etcd",
    #[cfg(feature = "etcd")]
    "etcds",
];
