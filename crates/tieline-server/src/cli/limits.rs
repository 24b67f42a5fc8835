//! The flags that set limits.
//!
//! Owns the limits of a node and the times of its drain, and the names of their flags in errors. Must
//! not check the limits: the library does, for every user of its configuration.

use std::time::Duration;

use clap::{Args, builder::BoolishValueParser};
use tieline::{Config, Deflate, Origins};

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Maximum size of a message from a client, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().message_size,
        env = "TIELINE_MAX_MESSAGE")]
    max_message: usize,
    /// Maximum number of connections [default: 90% of the descriptor limit]
    #[arg(long, value_name = "N", env = "TIELINE_MAX_CONNECTIONS")]
    max_connections: Option<usize>,
    /// Maximum number of bytes queued for a client
    ///
    /// A client that falls further behind is closed with code 1013.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().outbox_bytes,
        env = "TIELINE_MAX_OUTBOX")]
    max_outbox: usize,
    /// Maximum number of bytes queued for all clients together [default: a quarter of the memory]
    ///
    /// Beyond it, the clients for whom most is queued are closed with code 1013. The memory is that of
    /// the control group, such as a container's limit, or of the machine.
    #[arg(long, value_name = "BYTES", env = "TIELINE_MAX_OUTBOX_MEMORY")]
    max_outbox_memory: Option<usize>,
    /// Compress messages for clients that support it (permessage-deflate)
    #[arg(long, env = "TIELINE_COMPRESS", value_parser = BoolishValueParser::new())]
    compress: bool,
    /// Seconds between SIGTERM and the drain
    ///
    /// In between, clients are still accepted, but GET /readyz returns 503, so that load balancers
    /// stop sending them.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        env = "TIELINE_DRAIN_DELAY"
    )]
    pub(super) drain_delay: u64,
    /// Seconds over which a drain spreads the closing of connections
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        env = "TIELINE_DRAIN_WINDOW"
    )]
    drain_window: u64,
    /// Seconds after which a drain stops waiting for clients
    ///
    /// Connections that are still open then end with the process.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 20,
        env = "TIELINE_DRAIN_TIMEOUT"
    )]
    drain_timeout: u64,
}

impl Limits {
    /// The configuration of a node with these limits.
    pub(crate) fn config(&self, origins: Origins) -> Config {
        let default = Config::default();
        Config {
            message_size: self.max_message,
            outbox_bytes: self.max_outbox,
            max_outbox_memory: self.max_outbox_memory,
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

/// A configuration error, with the names of the flags for those of the settings.
pub(super) fn in_terms_of_flags(error: &str) -> String {
    let names = [
        ("max_outbox_memory", "--max-outbox-memory"),
        ("outbox_bytes", "--max-outbox"),
        ("message_size", "--max-message"),
        ("max_connections", "--max-connections"),
        ("drain_timeout", "--drain-timeout"),
        ("drain_window", "--drain-window"),
        ("close_timeout", "5 seconds"),
    ];
    names.iter().fold(error.to_owned(), |text, (name, flag)| {
        text.replace(name, flag)
    })
}
