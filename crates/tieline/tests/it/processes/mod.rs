//! Real processes, real registries, real signals: what is promised when they die, stop and come back.
//!
//! Every node is a process of its own (`node_program`, run and signalled by `node_process`), every registry a private
//! redis-server or etcd (`store`); clients are the test's (`client`), and what must hold once everything
//! is at rest is checked from outside (`checker`). Leases are short; nothing waits for a time to pass
//! where an event can be awaited.
//!
//! `random_faults` plays random faults. `TIELINE_MIX_SEED` repeats the choices of a run, though not its timing;
//! `TIELINE_MIX_SECONDS` (20) makes it longer:
//! `TIELINE_MIX_SECONDS=120 cargo test -p tieline --all-features --test it processes::random_faults`.

mod checker;
mod checker_detects;
mod client;
mod clients;
mod crash;
mod duplicate_ids;
mod etcd_quorum;
mod failover;
mod node_process;
mod node_program;
mod outage;
mod random_faults;
mod rolling_restart;
mod same_address;
mod store;
mod suspended_node;
