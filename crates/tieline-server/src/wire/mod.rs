//! The protocols that clients and backends speak.
//!
//! A wire translates: bytes into operations, messages into frames, outcomes into replies. What the
//! operations do is in `app`, which every wire uses. Wires never import each other.

pub(crate) mod webpubsub;
