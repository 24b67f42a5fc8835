//! The flags of limits, and the configuration that they make.

use std::time::Duration;

use clap::{Args, builder::BoolishValueParser};
use tieline::{Config, Deflate, Origins};

/// Limits, of which the library's documentation tells the rest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Longest message of a client, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().message_size,
        env = "TIELINE_MAX_MESSAGE")]
    pub(crate) max_message: usize,
    /// Most connections [default: nine tenths of the descriptor limit]
    #[arg(long, value_name = "N", env = "TIELINE_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<usize>,
    /// Bytes that may wait for one client before it is closed with 1013
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().outbox_bytes,
        env = "TIELINE_MAX_OUTBOX")]
    pub(crate) max_outbox: usize,
    /// Compress for clients that offer it (permessage-deflate)
    #[arg(long, env = "TIELINE_COMPRESS", value_parser = BoolishValueParser::new())]
    pub(crate) compress: bool,
    /// Seconds after SIGTERM in which clients are still taken, while GET /readyz says 503 already, so
    /// that a balancer stops sending them
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        env = "TIELINE_DRAIN_DELAY"
    )]
    pub(crate) drain_delay: u64,
    /// Seconds over which a drain spreads its closes
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        env = "TIELINE_DRAIN_WINDOW"
    )]
    pub(crate) drain_window: u64,
    /// Seconds after which a drain stops waiting; what is left ends with the process
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 20,
        env = "TIELINE_DRAIN_TIMEOUT"
    )]
    pub(crate) drain_timeout: u64,
}

impl Limits {
    /// The configuration of a node with these limits.
    pub(crate) fn config(&self, origins: Origins) -> Config {
        let default = Config::default();
        Config {
            message_size: self.max_message,
            outbox_bytes: self.max_outbox,
            broadcast_queue_bytes: default.broadcast_queue_bytes.max(self.max_outbox),
            max_connections: self.max_connections,
            compression: self.compress.then(Deflate::default),
            drain_window: Duration::from_secs(self.drain_window),
            drain_timeout: Duration::from_secs(self.drain_timeout),
            origins,
            ..default
        }
    }
}
