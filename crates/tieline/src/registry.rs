//! The registry of a cluster: it maps each client id to the node that holds the client's connection.
//!
//! [`connect`] connects to a registry by its URL. To write a registry, implement [`Registry`] and test it with the
//! crate `tieline-registry-conformance`.
//!
//! Everything here is re-exported from the crate `tieline-registry`.
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
    BeatReply, Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, Epoch, ExpiredNode, HookReply,
    ItemOutcome, JoinOutcome, JoinRequest, JournalEntry, JournalReply, LeaseInfo, Located, MAX_TTL,
    MAX_VALUE, MIN_TTL, MemoryRegistry, NodeInfo, NodeReport, NodeSession, OpenReply, Owner, Page,
    Pulse, Put, PutItem, PutOp, PutReply, Registry, RegistryConfigError, RegistryError,
    RegistryErrorKind, RegistryFuture, RegistryTls, Release, ReleaseOutcome, Renewal, RosterKind,
    RosterName, RosterPage, RosterReply, Rosters, Stamp, StoredValue, TendReply, Term, ValueError,
    Values, Verdict, connect, connect_with, problems, schemes,
};
#[cfg(feature = "etcd")]
pub use tieline_registry::{EtcdOptions, EtcdRegistry};
#[cfg(feature = "redis")]
pub use tieline_registry::{RedisOptions, RedisRegistry};
