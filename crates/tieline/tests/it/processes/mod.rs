//! Real processes, real registries, real signals: what is promised when they die, stop and come back.
//!
//! Every node is a process of its own (`node`, run and signalled by `fleet`), every registry a private
//! redis-server or etcd (`store`); clients are the test's (`guest`), and what must hold once everything
//! is at rest is checked from outside (`checker`). Leases are short; nothing waits for a time to pass
//! where an event can be awaited.
//!
//! `mix` plays random faults. `TIELINE_MIX_SEED` repeats the choices of a run, though not its timing;
//! `TIELINE_MIX_SECONDS` (20) makes it longer:
//! `TIELINE_MIX_SECONDS=120 cargo test -p tieline --all-features --test it processes::mix`.

mod checker;
mod crash;
mod duel;
mod failover;
mod fleet;
mod guest;
mod mix;
mod node;
mod outage;
mod party;
mod pause;
mod proof;
mod quorum;
mod rolling;
mod store;
mod twins;
