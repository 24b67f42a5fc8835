//! Real processes, real registries, real signals: what is promised when they die, stop and come
//! back.
//!
//! Each node runs in a separate process (`node_program`, started and signalled by `node_process`),
//! each registry is a private redis-server or etcd (`store`); the clients belong to the test
//! (`client`), and what must hold once a cluster is consistent is checked from outside (`checker`).
//! Leases are short; a test waits for an event where there is one, not for a time to pass.
//!
//! `random_faults` causes random faults. `TIELINE_MIX_SEED` repeats the choices of a run, though
//! not its timing; `TIELINE_MIX_SECONDS` (20) sets its length: `TIELINE_MIX_SECONDS=120 cargo test
//! -p tieline --all-features --test it processes::random_faults`.

mod checker;
mod checker_detects;
mod client;
mod clients;
mod crash;
mod duplicate_ids;
mod etcd_quorum;
mod failover;
mod node_presence;
mod node_process;
mod node_program;
mod outage;
mod presence;
mod random_faults;
mod rolling_restart;
mod same_address;
mod store;
mod suspended_node;
