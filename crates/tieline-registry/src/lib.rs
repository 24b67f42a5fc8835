//! The registry of a Tieline cluster: it maps each client id to the node that holds the client's
//! connection.
//!
//! Depend on this crate to write a registry. Applications use the crate `tieline`, which re-exports what
//! they need as `tieline::registry`.
//!
//! [`Registry`] is the contract between nodes and registry. Its requests and answers are plain values;
//! an operation that fails returns a [`RegistryError`]. The crate has three implementations:
//! [`MemoryRegistry`] for the nodes of one process, and `RedisRegistry` and `EtcdRegistry` behind the
//! features `redis` and `etcd`. [`connect`] picks one by its URL.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tieline_registry::{
//!     Candidate, Claim, ClaimKind, ClientId, Join, MemoryRegistry, Registry, Stamp,
//! };
//! use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
//! let candidate = Candidate {
//!     address: "10.0.0.1:7000".into(),
//!     process: Uuid::now_v7(),
//!     replace: None,
//!     previous: None,
//!     now: Stamp(0),
//!     lease: Duration::from_secs(10),
//! };
//! let Join::Joined(session, _) = registry.join(&candidate).await? else {
//!     panic!("another process has the address");
//! };
//! let claim = Claim {
//!     id: ClientId::new("ada")?,
//!     stamp: Stamp(1),
//!     kind: ClaimKind::Fresh,
//! };
//! registry.claim(&session, &[claim]).await?;
//! let entry = registry.locate("ada", true).await?.expect("it was claimed");
//! assert_eq!(&*entry.address, "10.0.0.1:7000");
//! # Ok(())
//! # }
//! ```
//!
//! Test a registry with the crate `tieline-registry-conformance`.
//!
//! # Components
//!
//! | noun | is |
//! |---|---|
//! | [`Registry`] | the contract between nodes and registry |
//! | [`JoinRequest`], [`NodeSession`], [`LeaseInfo`] | a process that takes an address, and holds it by a lease |
//! | [`Claim`], [`Release`], [`Stamp`] | an id that a node takes or gives back, ordered by the arrival of its connection |
//! | [`Entry`], [`NodeInfo`], [`ExpiredNode`] | what the registry knows of an id and of a node |
//! | [`Cursor`], [`Page`] | a walk over many ids |
//! | [`ClientId`] | the application's name for a connection |
//! | [`claim_table`] | the node's side of the protocol, as a pure state machine |
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `redis` | the registry on Redis: one server, Sentinel, or Cluster |
//! | `etcd` | the registry on etcd |
//!
//! Neither is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod claim_table;
mod connect;
mod contract;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
pub mod id;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod types;

#[cfg(feature = "etcd")]
pub use self::etcd::{EtcdOptions, EtcdRegistry};
#[cfg(feature = "redis")]
pub use self::redis::{RedisOptions, RedisRegistry};
pub use self::{
    connect::{RegistryTls, connect, connect_with},
    contract::{Registry, RegistryFuture},
    error::RegistryError,
    id::{ClientId, MAX_NAME, NameError},
    memory::MemoryRegistry,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest,
        LeaseInfo, NodeInfo, NodeSession, Owner, Page, Release, ReleaseOutcome, Renewal, Stamp,
        Verdict,
    },
};
