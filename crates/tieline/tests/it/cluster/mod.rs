//! Several nodes in one process, joined by real links.

mod admission;
mod asks;
mod asks_under_faults;
mod clocks;
mod duplicate_ids;
mod emit_many;
mod invalid_callers;
mod ipv6;
mod isolation;
mod late_verdicts;
mod legacy_nodes;
mod link_faults;
mod lookups;
mod moving_client;
mod node_lifecycle;
mod numbered_messages;
mod operations_in_order;
mod order;
mod peer_security;
mod reach;
mod registry_outage;
mod services;
mod silent_links;
mod single_node;
mod stale_connections;
mod strangers;
