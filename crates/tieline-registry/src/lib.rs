//! The registry of a Tieline cluster: it maps each client id to the node that holds the client's
//! connection.
//!
//! Depend on this crate to write a registry. Applications use the crate `tieline`, which re-exports what
//! they need as `tieline::registry`.
//!
//! # How nodes use a registry
//!
//! A node [joins](Registry::join) under its address and [renews](Registry::renew) its lease. For each
//! client that connects it [claims](Registry::claim) the client's id; when the client disconnects it
//! [releases](Registry::release) the id. To send to a client it [locates](Registry::locate) the client's
//! node. If a node dies, its lease expires, and the other nodes [reap](Registry::reap) its entries.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tieline_registry::{
//!     Claim, ClaimKind, ClientId, JoinOutcome, JoinRequest, Located, MemoryRegistry, Registry,
//!     Stamp,
//! };
//! use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
//! let request = JoinRequest {
//!     address: "10.0.0.1:7000".into(),
//!     process: Uuid::now_v7(),
//!     replace: None,
//!     previous: None,
//!     now: Stamp(0),
//!     lease: Duration::from_secs(10),
//!     has_connections: false,
//! };
//! let JoinOutcome::Joined(session, _) = registry.join(&request).await? else {
//!     panic!("another process has the address");
//! };
//! let claim = Claim {
//!     id: ClientId::new("ada")?,
//!     stamp: Stamp(1),
//!     kind: ClaimKind::Fresh,
//! };
//! registry.claim(&session, &[claim]).await?;
//! match registry.locate("ada", true).await? {
//!     Located::At(entry) => assert_eq!(&*entry.address, "10.0.0.1:7000"),
//!     Located::Nowhere | Located::Unknown => panic!("it was claimed"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Write a registry
//!
//! Implement [`Registry`] for your store; its documentation says what every registry guarantees. Report
//! failures as [`RegistryError`]. Then test it with the crate `tieline-registry-conformance`, which
//! plays the orders of events that break registries. [`MemoryRegistry`] is the shortest registry that
//! passes.
//!
//! # Contents
//!
//! | item | meaning |
//! |---|---|
//! | [`Registry`] | the contract between nodes and registry |
//! | [`JoinRequest`], [`NodeSession`], [`Renewal`], [`LeaseInfo`] | a process takes an address and holds it by a lease |
//! | [`Claim`], [`Release`], [`Verdict`] | a node takes a client id, or gives it back |
//! | [`Stamp`] | the order between claims: when the connection arrived |
//! | [`Entry`], [`NodeInfo`], [`ExpiredNode`] | what the registry knows of an id and of a node |
//! | [`Cursor`], [`Page`] | a walk over many ids |
//! | [`RegistryError`], [`RegistryErrorKind`] | a failed operation |
//! | [`connect()`], [`connect_with`], [`schemes`] | a registry by its URL |
//! | [`problems`], [`RegistryConfigError`] | what is wrong with a URL, a prefix or certificates, without a connection |
//! | [`MemoryRegistry`] | the registry for the nodes of one process |
#![cfg_attr(
    feature = "redis",
    doc = "| [`RedisRegistry`], [`RedisOptions`] | the registry on Redis |"
)]
#![cfg_attr(
    feature = "etcd",
    doc = "| [`EtcdRegistry`], [`EtcdOptions`] | the registry on etcd |"
)]
//! | [`Rosters`] | the part of the contract about presence: who is in which group |
//! | [`Term`], [`Put`], [`Pulse`] | a node enters its users under a name with a lease |
//! | [`RosterName`], [`Member`], [`Position`], [`JournalEntry`] | rosters, and the journal of their changes |
//! | [`Values`], [`StoredValue`] | the part of the contract about short-lived values |
//! | [`id`] | client ids, and the bounds of all names |
//! | [`claim_table`] | the node's side of the protocol, as a pure state machine |
//! | [`roster_table`], [`roster_view`] | the same for presence: what a node enters, and what it follows |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `redis` | `RedisRegistry`: one server, Sentinel or Redis Cluster |
//! | `etcd` | `EtcdRegistry` |
//!
//! None is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod by_user;
pub mod claim_table;
mod connect;
mod contract;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
pub mod id;
mod memory;
mod readme;
#[cfg(feature = "redis")]
mod redis;
mod reply;
mod roster;
pub mod roster_table;
pub mod roster_view;
mod rosters;
mod types;
mod values;

pub use bytes::Bytes;

#[cfg(feature = "etcd")]
pub use self::etcd::{EtcdOptions, EtcdRegistry};
#[cfg(feature = "redis")]
pub use self::redis::{RedisOptions, RedisRegistry};
pub use self::{
    connect::{RegistryTls, connect, connect_with, problems, schemes},
    contract::Registry,
    error::{RegistryConfigError, RegistryError, RegistryErrorKind},
    id::{ClientId, DEFAULT_NAMESPACE, MAX_NAME, MAX_NAMESPACE, NameError},
    memory::MemoryRegistry,
    reply::RegistryFuture,
    roster::{
        BeatReply, HookReply, ItemOutcome, JournalEntry, JournalReply, MAX_INFO, MAX_PUT, MAX_READ,
        Member, OpenReply, Position, Pulse, Put, PutItem, PutOp, PutReply, RosterKind, RosterName,
        RosterPage, RosterReply, TendReply, Term, TransitionKind,
    },
    rosters::Rosters,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, Epoch, ExpiredNode, JoinOutcome,
        JoinRequest, LeaseInfo, Located, NodeInfo, NodeReport, NodeSession, Owner, Page, Release,
        ReleaseOutcome, Renewal, Stamp, Verdict,
    },
    values::{MAX_TTL, MAX_VALUE, MIN_TTL, StoredValue, ValueError, Values},
};
