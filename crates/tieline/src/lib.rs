//! WebSockets across nodes: send to any client, user, group or all, from any node, and get a
//! delivery status.
//!
//! A [`Hub`] holds the connections of this process. A [`Handler`] is what your application does with
//! them. A [`Node`] combines both and is what an HTTP server hands its upgrades to: a [`Listener`] of
//! this crate, or an axum router with [`Upgrade`] as an extractor. A [`Cluster`] joins nodes through a
//! [`registry`], on Redis or etcd, and direct links.
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
//! # Getting clients in
//!
//! For each WebSocket request, your code decides: [`Accept`] with a client id, a user, groups and a
//! state of your own, or [`Refusal`] with an HTTP status. An id names at most one connection;
//! [`Config::duplicate`] says whether the newer connection wins or is refused. Every limit and policy
//! is a field of [`Config`], whose documentation states its default and what it costs.
//!
//! # Sending
//!
//! [`Hub::emit`], [`Hub::emit_user`], [`Hub::emit_group`] and [`Hub::broadcast`] queue a [`Frame`]
//! when they are called. The frame is encoded once for all receivers. Each call returns a
//! [`Receipt`]: await it, give it a callback, or drop it. It yields a [`Delivery`] for one client and
//! [`Reached`] for many.
//!
//! Nothing of this waits for a slow client. A stream of any length is sent by [`Connection::send`], which
//! waits for room in the client's outbox.
//!
//! A [`Note`] is not encoded yet: the [`Dialect`] of each connection makes its frame, so that one group may
//! hold clients that read differently.
//!
//! Messages are delivered at most once. [`Delivery::Delivered`] means that the frame is in the outbox
//! of a live connection. [`Delivery::Offline`] and [`Delivery::Unreachable`] mean that it is in none.
//! What one task sends to one client arrives in the order of the calls, whether by id, user, group or
//! broadcast, on this node or another.
//!
//! # Many nodes
//!
//! [`Cluster::start`] makes a hub part of a cluster, and [`Node::in_cluster`] serves it. The cluster
//! has the calls of the hub, for the clients of all nodes:
//!
//! ```no_run
//! # #[cfg(feature = "redis")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tieline::{Cluster, ClusterConfig, Config, Hub, registry};
//!
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
//! [`Summary`] adds up what happened on every node and names the nodes that were not reached. A
//! process without connections, such as a backend, reaches all clients through [`Cluster::connect`].
//!
//! # Where to read next
//!
//! | type | purpose |
//! |---|---|
//! | [`Node`] | a hub and a handler, served and drained |
//! | [`Listener`], [`HttpService`] | TCP, TLS and HTTP/1.1 in front of a node |
//! | [`HandshakeFailures`], [`FailedHandshake`] | connections that end before their request, and why |
//! | [`Upgrade`], [`UpgradeRequest`], [`Accept`], [`Refusal`] | who may connect, and as whom |
//! | [`Farewell`], [`Closing`] | what a client is sent last |
//! | [`Handler`], [`TryHandler`] | the callbacks of one connection |
//! | [`Chunk`] | a piece of a long message |
//! | [`MessageWriter`] | a long message that is sent in pieces |
//! | [`Observation`], [`Observed`] | the frames of one connection, as they come and go |
//! | [`Socket`] | a connection as a stream and a sink, for a task of your own |
//! | [`Connection`], [`Message`], [`CloseReason`] | one accepted WebSocket, what it sent, why it ended |
//! | [`Hub`], [`Frame`], [`Receipt`], [`Delivery`], [`Deliveries`] | sending on this node |
//! | [`TrackedReceipt`], [`WriteOutcome`] | whether a message has left for its client |
//! | [`Note`], [`Dialect`], [`Content`] | one message for clients that read differently |
//! | [`Ask`], [`AskError`], [`RequestError`] | asking the handler about a client, on any node |
//! | [`Config`] | every limit and policy |
//! | [`Cluster`], [`ClusterConfig`], [`PeerSecurity`] | sending across nodes; how nodes authenticate each other |
//! | [`Summary`], [`OnlineStatus`], [`Membership`], [`Listed`], [`Counted`] | results across nodes |
//! | [`registry`] | where the cluster records which client is on which node |
//! | [`testing`] | tests of your own handler |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | [`Upgrade`] as an extractor, [`Refusal`] as a response |
//! | `cluster` | many nodes, with a registry in memory |
//! | `redis` | `cluster`, and the registry on Redis: one server, Sentinel, or Cluster |
//! | `etcd` | `cluster`, and the registry on etcd |
//! | `json` | [`Frame::json`] and [`Message::json`] |
//! | `testing` | [`testing`]: clients in memory, clusters in one process, for the tests of applications |
//! | `tls` | TLS on the [`Listener`], with rustls |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ask;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod close;
#[cfg(feature = "cluster")]
mod cluster;
mod config;
mod connection;
mod counts;
mod deliveries;
mod delivery;
#[cfg(feature = "cluster")]
mod error;
mod farewell;
mod handler;
mod hub;
mod inbound;
#[cfg(feature = "cluster")]
mod link;
mod listener;
mod node;
#[cfg(feature = "cluster")]
mod presence;
mod readme;
mod receipt;
#[cfg(feature = "cluster")]
mod registrar;
#[cfg(feature = "cluster")]
pub mod registry;
mod serve;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod try_handler;
mod upgrade;
mod written;

pub use bytes::Bytes;
pub use http::StatusCode;
pub use tieline_registry::{ClientId, MAX_NAME, MAX_NAMESPACE, NameError};
#[cfg(feature = "json")]
pub use tieline_websocket::JsonError;
pub use tieline_websocket::{
    Chunk, CloseCode, CloseFrame, Deflate, Frame, FrameKind, Message, ProtocolError,
};

#[cfg(feature = "tls")]
pub use self::listener::{ClientAuth, ClientCertificate, Tls, TlsCertificate, TlsConfig, TlsError};
pub use self::{
    ask::{Ask, AskError, RequestError},
    close::CloseReason,
    config::{Config, ConfigError, Duplicate, Origins, SlowConsumer},
    counts::Counts,
    deliveries::Deliveries,
    delivery::{Delivery, Reached},
    farewell::{Closing, Farewell},
    handler::{ConnectionError, Handler},
    hub::{
        Connection, Content, Cork, Dialect, DialectId, Dialects, Direction, Ends, Except,
        FilterLanguage, Hub, HubStats, JoinError, MessageWriter, Note, NoteKind, NoteOrigin,
        Numbering, Observation, Observed, Predicate, SendError, Times, Traffic, UserError,
    },
    inbound::{Excess, ExcessVerdict, Inbound, InboundLimit, InboundVerdict},
    listener::{
        Body, BodyError, FailedHandshake, ForwardedHeader, HandshakeFailure, HandshakeFailures,
        HttpService, Listener, Network, NetworkError, Proxies, client_addr,
    },
    node::{Drained, Node},
    receipt::Receipt,
    serve::NodeService,
    socket::Socket,
    try_handler::{CallbackError, TryHandler},
    upgrade::{Accept, Refusal, Upgrade, UpgradeRequest},
    written::{TrackedReceipt, WriteOutcome},
};
#[cfg(feature = "cluster")]
pub use self::{
    cluster::{
        Cluster, ClusterConfig, ClusterError, ClusterExcept, ClusterStats, ClusterValues, Counted,
        Listed, Membership, NodeCount, NodeReached, NodeReply, OnlineStatus, PeerStatus, Summary,
        ValuesError,
    },
    link::{PeerSecurity, PeerTls, SecurityError},
    presence::{
        Change, DispatchError, Dispatcher, Dispatching, EnterOutcome, Exit, Follower, Following,
        FollowingUser, Member, Position, Presence, PresenceConfig, PresenceError, PresenceEvent,
        RosterPart, Transition, TransitionKind,
    },
};
