//! Several nodes in one process, joined by real links.

mod legacy_nodes;
mod registry_outage;
mod node_lifecycle;
mod link_faults;
mod lookups;
mod stale_connections;
mod invalid_callers;
mod numbered_messages;
mod order;
mod reach;
mod duplicate_ids;
mod services;
mod silent_links;
mod peer_security;
mod moving_client;
