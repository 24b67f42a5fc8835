//! The command line. Its doc comments are the texts of `--help`.

#![allow(clippy::doc_markdown, reason = "the texts are read in a terminal")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};
use tieline::{Config, Deflate, Origins};

use crate::webpubsub::{Access, Namespace};

/// Holds WebSocket connections and reaches each by id, user, group, or all at once
///
/// Clients are the SDKs of Web PubSub, or any WebSocket client.
#[derive(Debug, Parser)]
#[command(name = "tieline", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node with a chat page, to see it work
    ///
    /// Prints the address to open. Two browser tabs are two people.
    Demo(Demo),
    /// Start a node
    ///
    /// Clients connect to ws://ADDRESS/client/hubs/HUB?user=NAME. GET /healthz answers 200 while the
    /// process lives, GET /readyz while it takes new clients. SIGTERM or Ctrl+C drains: no new
    /// clients, then the others are closed with 1012, spread over --drain-window. A second signal ends
    /// at once.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) tls: TlsFiles,
}

/// What every command that listens takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = address,
        default_value = "127.0.0.1:8080",
        env = "TIELINE_LISTEN"
    )]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) clients: Clients,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Who may connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Name of the hub, the last part of the clients' path
    #[arg(long, value_name = "NAME", default_value = "chat", env = "TIELINE_HUB")]
    pub(crate) hub: Namespace,
    /// Let anyone name themselves by ?user=, also where --listen is not loopback
    #[arg(long, env = "TIELINE_ANONYMOUS", value_parser = BoolishValueParser::new())]
    pub(crate) anonymous: bool,
    /// Origin whose pages may connect, such as https://example.org; may be repeated; * is any
    /// [default: the server's own]
    #[arg(
        long = "origin",
        value_name = "ORIGIN",
        value_parser = origin,
        env = "TIELINE_ORIGINS",
        value_delimiter = ','
    )]
    pub(crate) origins: Vec<String>,
}

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

/// TLS, where no proxy does it.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsFiles {
    /// Certificate chain, leaf first (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "TIELINE_TLS_CERT"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "TIELINE_TLS_KEY"
    )]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What is logged, to standard error. RUST_LOG overrides the level, per module if need be.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct Log {
    /// How log lines look
    #[arg(long, value_enum, default_value = "text", env = "TIELINE_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The command line's addresses are numbers: a name could mean several.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write address and port, as in 127.0.0.1:8080 or 0.0.0.0:8080".into())
}

/// An origin as browsers send it.
fn origin(text: &str) -> Result<String, String> {
    let host = text
        .split_once("://")
        .map(|(_, host)| host.trim_end_matches('/'));
    if text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        return Ok(text.into());
    }
    Err("write scheme and host, as in https://example.org".into())
}

impl Clients {
    pub(crate) fn access(&self) -> Access {
        if self.anonymous {
            Access::Anyone
        } else {
            Access::Loopback
        }
    }

    pub(crate) fn origins(&self) -> Origins {
        if self.origins.is_empty() {
            Origins::SameHost
        } else if self.origins.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::List(self.origins.clone())
        }
    }

    /// Why these clients may not be served on this address, if they may not.
    pub(crate) fn objection(&self, listen: SocketAddr) -> Option<String> {
        let open = self.anonymous || listen.ip().is_loopback();
        (!open).then(|| {
            format!(
                "on {listen} anyone could connect as anyone, because clients name themselves by \
                 ?user=; listen on 127.0.0.1, or say --anonymous if that is meant"
            )
        })
    }
}

impl Serve {
    pub(crate) fn config(&self) -> Config {
        let limits = &self.limits;
        let default = Config::default();
        Config {
            message_size: limits.max_message,
            outbox_bytes: limits.max_outbox,
            broadcast_queue_bytes: default.broadcast_queue_bytes.max(limits.max_outbox),
            max_connections: limits.max_connections,
            compression: limits.compress.then(Deflate::default),
            drain_window: Duration::from_secs(limits.drain_window),
            drain_timeout: Duration::from_secs(limits.drain_timeout),
            origins: self.common.clients.origins(),
            ..default
        }
    }
}

impl Demo {
    /// As `serve`'s defaults, but for a drain that a visitor does not wait for.
    pub(crate) fn config(&self) -> Config {
        Config {
            drain_window: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            origins: self.common.clients.origins(),
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_valid_settings() {
        let Command::Serve(serve) = Cli::parse_from(["tieline", "serve"]).command else {
            panic!("serve is not serve");
        };
        assert_eq!(serve.config().validate(), Ok(()));
        let Command::Demo(demo) = Cli::parse_from(["tieline", "demo"]).command else {
            panic!("demo is not demo");
        };
        assert_eq!(demo.config().validate(), Ok(()));
    }

    #[test]
    fn nobody_names_themselves_in_public_unasked() {
        let Command::Serve(mut serve) = Cli::parse_from(["tieline", "serve"]).command else {
            panic!("serve is not serve");
        };
        let public = "0.0.0.0:8080".parse().unwrap();
        assert!(serve.common.clients.objection(public).is_some());
        assert!(
            serve
                .common
                .clients
                .objection("[::1]:8080".parse().unwrap())
                .is_none()
        );
        serve.common.clients.anonymous = true;
        assert!(serve.common.clients.objection(public).is_none());
    }
}
