//! Where the cluster remembers which client is on which node.
//!
//! [`connect`] reaches a registry by its URL; [`Registry`] is what a registry of your own implements,
//! and the crate `tieline-registry-conformance` has the tests that it must pass.
//!
//! All of this is the crate `tieline-registry`, which a registry of your own may depend on instead of
//! this one.
//!
//! ```
//! use std::sync::Arc;
//! use tieline::{Cluster, ClusterConfig, Config, Hub, registry::MemoryRegistry};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::new(Config::default())?;
//! let registry = Arc::new(MemoryRegistry::new());
//! let cluster = Cluster::start(hub, registry, ClusterConfig::default()).await?;
//! # Ok(())
//! # }
//! ```

pub use tieline_registry::{
    Answer, Beat, Candidate, Claim, ClaimKind, Claimed, Cursor, Entry, Expired, Join, Member,
    MemoryRegistry, Owner, Page, Registry, RegistryError, RegistryTls, Release, Released, Session,
    Stamp, Tenure, Verdict, connect, connect_with,
};
#[cfg(feature = "etcd")]
pub use tieline_registry::{EtcdOptions, EtcdRegistry};
#[cfg(feature = "redis")]
pub use tieline_registry::{RedisOptions, RedisRegistry};
