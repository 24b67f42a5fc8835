//! WebSocket connections on any number of nodes: reach any client by id, user, group or all at once,
//! and know what happened.
//!
//! A [`Hub`] holds the connections of this process. A [`Handler`] is what the application does with
//! them. A [`Node`] is both, and what an HTTP server hands its upgrades to: a [`Listener`] of this
//! crate, or an axum router with [`Upgrade`] as an extractor. With the feature `cluster`, a `Cluster`
//! joins nodes by a `registry`, on Redis or etcd, and links between them.
//!
//! ```no_run
//! use tieline::{Accept, Config, Connection, Handler, Hub, Listener, Message, Node};
//!
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type State = ();
//!
//!     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
//!         connection.hub().broadcast(message);
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let node = Node::new(Hub::new(Config::default())?, Shout);
//!     let listener = Listener::bind("127.0.0.1:8080").await?;
//!     let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
//!     node.serve(listener, |_request| async { Ok(Accept::new(())) }, ctrl_c).await;
//!     Ok(())
//! }
//! ```
//!
//! # Many nodes
//!
//! `Cluster::start` makes a hub part of a cluster, and `Node::in_cluster` serves it. What the hub's
//! calls do for the clients of this node, the cluster's do for those of all nodes:
//!
#![cfg_attr(feature = "redis", doc = "```no_run")]
#![cfg_attr(not(feature = "redis"), doc = "```ignore")]
//! use tieline::{Cluster, ClusterConfig, Config, Hub, registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = registry::connect("redis://127.0.0.1:6379", "my-app").await?;
//! let hub = Hub::new(Config::default())?;
//! let cluster = Cluster::start(hub, registry, ClusterConfig::default()).await?;
//!
//! let delivery = cluster.emit("grace", "hello").await;
//! let summary = cluster.broadcast("to everyone, on every node").await;
//! # Ok(())
//! # }
//! ```
//!
//! A process without connections, a backend, reaches all clients by `Cluster::connect`.
//!
//! # What is promised
//!
//! At most once, with a receipt. `emit` and its kin enqueue when they are called and return a
//! [`Receipt`], a future that yields a [`Delivery`] for one client, [`Reached`] for many of this node,
//! or a `Summary` for many of all nodes, which names the nodes that were not reached.
//! [`Delivery::Delivered`] means that the frame is in the outbox of a live connection, never less;
//! [`Delivery::Unreachable`] and [`Delivery::Offline`], that it certainly is in none. What one task
//! sends to one client arrives in the order of the calls, by id, user, group or broadcast, across nodes
//! too.
//!
//! # Components
//!
//! | noun | is |
//! |---|---|
//! | [`Hub`] | the connections of this node |
//! | [`Connection`] | one accepted WebSocket |
//! | [`Handler`] | the application's callbacks |
//! | [`Node`] | hub and handler, served and drained |
//! | [`Listener`] | TCP, TLS and HTTP/1.1 |
//! | [`Upgrade`], [`Accept`], [`Refusal`] | the decision who may connect, as whom |
//! | [`Message`], [`Frame`] | what came, and what goes: encoded once for all its receivers |
//! | [`Config`] | every limit and policy |
//! | `Cluster` | many nodes as one: reaches any client from any node |
//! | `ClusterConfig`, `PeerSecurity` | how a node takes part, and how nodes know each other |
//! | `registry::Registry` | where the cluster remembers which client is on which node: `MemoryRegistry`, `RedisRegistry`, `EtcdRegistry`, or your own |
//! | `Summary`, `OnlineStatus`, `Membership`, `Listed` | what became of messages to many, and of questions, across nodes |
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `axum` | [`Upgrade`] as an extractor |
//! | `cluster` | many nodes as one, with a registry in memory |
//! | `redis` | `cluster`, and the registry on Redis: one server, Sentinel, or Cluster |
//! | `etcd` | `cluster`, and the registry on etcd |
//! | `conformance` | `cluster`, and the tests that every registry must pass |
//! | `tls` | TLS on the [`Listener`], by rustls |
//!
//! None is on by default.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "cluster")]
mod claims;
mod close;
#[cfg(feature = "cluster")]
mod cluster;
mod config;
mod connection;
mod delivery;
mod handler;
mod hub;
mod id;
#[cfg(feature = "cluster")]
mod link;
mod listener;
mod node;
mod receipt;
#[cfg(feature = "cluster")]
pub mod registry;
mod serve;
mod upgrade;

pub use http::StatusCode;
pub use tieline_websocket::{CloseCode, CloseFrame, Deflate, Frame, Message, ProtocolError};

#[cfg(feature = "tls")]
pub use self::listener::{Tls, TlsError};
pub use self::{
    close::{CloseReason, FinalMessage},
    config::{Config, ConfigError, Duplicate, Origins, SlowConsumer},
    delivery::{Delivery, Reached},
    handler::{ConnectionError, Handler},
    hub::{Connection, Except, Hub, JoinError},
    id::{ClientId, MAX_NAME, NameError},
    listener::{Body, BodyError, HttpService, Listener},
    node::{Drained, Node},
    receipt::Receipt,
    serve::NodeService,
    upgrade::{Accept, Refusal, Upgrade, UpgradeRequest},
};
#[cfg(feature = "cluster")]
pub use self::{
    cluster::{
        Cluster, ClusterConfig, ClusterError, ClusterExcept, Listed, Membership, NodeReached,
        OnlineStatus, PeerStatus, Summary,
    },
    link::{PeerSecurity, PeerTls, SecurityError},
};
