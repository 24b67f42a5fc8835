//! Many nodes as one: reach any client from any node.
//!
//! Owns routing a message to the node that has its receiver, and the lifecycle of a node within a
//! cluster. Must not know sockets, handlers or HTTP. Invariants: every receipt is decided; what is
//! answered `Unreachable` or `Offline` was not delivered; nothing is sent twice.
//!
//! From top to bottom, each module knows only modules below it:
//!
//! | module | owns |
//! |---|---|
//! | `serving`, `questions`, `tracked`, `values`, `api`, `except` | the public [`Cluster`]; it decides nothing |
//! | `lifecycle` | start and end of a node |
//! | `inbound` | requests of peers |
//! | `listing`, `counting`, `asking`, `many` | lists and counts over all nodes; asks; messages to many ids |
//! | `node_discovery`, `legacy_discovery`, `hub_observer` | discovery of nodes; changes of the hub |
//! | `router` | the side effects of routing |
//! | `unicast` | the decision where a unicast goes next, without side effects |
//! | `multicast` | one request for each node that may have a receiver |
//! | `directory`, `node_host` | the registry, and what the registrar needs of the cluster |
//! | `peers` | the other nodes |
//! | `routes`, `ordering` | cached routes; the order of calls while clients are looked up |
//! | `pending`, `client_op`, `outcome`, `summary` | messages in flight and their outcomes |
//! | `config`, `advertise` | settings |

mod advertise;
mod api;
mod asking;
mod client_op;
mod config;
mod counting;
mod directory;
mod except;
mod hub_observer;
mod inbound;
mod legacy_discovery;
mod lifecycle;
mod listing;
mod many;
mod multicast;
mod node_discovery;
mod node_host;
mod ordering;
mod outcome;
mod peers;
mod pending;
mod questions;
mod router;
mod routes;
mod serving;
mod stats;
mod summary;
mod tracked;
mod unicast;
mod values;
mod wire_content;

pub use self::{
    api::Cluster,
    config::{ClusterConfig, ClusterError},
    except::ClusterExcept,
    pending::PeerStatus,
    stats::ClusterStats,
    summary::{
        Counted, Listed, Membership, NodeCount, NodeReached, NodeReply, OnlineStatus, Summary,
    },
    values::{ClusterValues, ValuesError},
};
