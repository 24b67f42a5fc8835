//! The registry on etcd.
//!
//! Owns [`EtcdRegistry`]: the transactions of each operation, the keys, and a small client for the few
//! calls that they make. Must not know connections to clients, or links.
//!
//! From the top: `operations` (the contract), `claim`, `release`, `lifecycle`, `scan` and `values` (its parts),
//! `presence` (the contract of rosters), `rosters`, `terms`, `capacity` and `reading` (its parts), `journal`,
//! `mirror`, `place` and `roster_layout` (what they are made of), `leases` (of a node), `epoch` (whether entries may
//! be missing), `registry` (the value, and connecting), `conflict` (who wins an id), `batch` (large transactions),
//! `watch` (events as they come), `client` (timeouts, failover, tokens), `endpoints`, then `options`, `call_error`,
//! `layout`, `rpc`, `url`, `clock`, `lease_set` and `value_leases` (which leases there are).
//!
//! Invariants: every write of a node compares the node's fencing token; every deletion compares what it
//! deletes; every call ends within its timeout; no error and no debug output shows a password.

mod batch;
mod call_error;
mod capacity;
mod claim;
mod client;
mod clock;
mod conflict;
mod endpoints;
mod epoch;
mod journal;
mod layout;
mod lease_set;
mod leases;
mod lifecycle;
mod mirror;
mod operations;
mod options;
mod overlap;
mod place;
mod presence;
mod reading;
mod registry;
mod release;
mod roster_layout;
mod rosters;
mod rpc;
mod scan;
mod terms;
mod url;
mod value_leases;
mod values;
mod watch;

pub use self::{options::EtcdOptions, registry::EtcdRegistry};
