//! The command line. Its doc comments are the texts of `--help`.

#![allow(clippy::doc_markdown, reason = "the texts are read in a terminal")]

mod clients;
mod limits;
mod peers;
mod registry;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tieline::{Config, Tls};

pub(crate) use self::{
    clients::Clients,
    limits::Limits,
    peers::{PeerFlags, in_flags},
    registry::{RegistryFlags, RegistryUrl},
};

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
    /// Start two nodes in one process, each with a chat page, to see it work
    ///
    /// Prints the addresses to open. Each browser tab is a person, on a node of its own: what one
    /// writes crosses the link between the nodes. With --registry the nodes meet in that registry,
    /// and with those of other demos there.
    Demo(Demo),
    /// Start a node
    ///
    /// Clients connect to ws://ADDRESS/client/hubs/HUB?user=NAME. With --registry the node is part of
    /// a cluster: a message reaches its receivers on whichever node they are. GET /healthz answers 200
    /// while the process lives, GET /readyz while it takes new clients. SIGTERM or Ctrl+C drains: no
    /// new clients, then the others are closed with 1012, spread over --drain-window. A second signal
    /// ends at once.
    Serve(Serve),
    /// Measure a WebSocket server: this one or any other
    ///
    /// A server that runs is measured by --url, or --start starts one for the time. Results are a
    /// table, JSON, or a page with a chart.
    Bench(tieline_bench::cli::Bench),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address of the second node [default: the port after --listen's, or a free one]
    #[arg(long, value_name = "ADDRESS", value_parser = address, env = "TIELINE_SECOND")]
    pub(crate) second: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) registry: RegistryFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) tls: TlsFiles,
    #[command(flatten)]
    pub(crate) registry: RegistryFlags,
    #[command(flatten)]
    pub(crate) peers: PeerFlags,
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

/// The contents of a file that a flag names.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

impl TlsFiles {
    /// Certificate and key, if they are given.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        Ok(Some(Tls::from_pem(&read(cert)?, &read(key)?)?))
    }
}

impl Serve {
    pub(crate) fn config(&self) -> Config {
        self.limits.config(self.common.clients.origins())
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
        assert!(serve.common.clients.bind_error(public).is_some());
        assert!(
            serve
                .common
                .clients
                .bind_error("[::1]:8080".parse().unwrap())
                .is_none()
        );
        serve.common.clients.anonymous = true;
        assert!(serve.common.clients.bind_error(public).is_none());
    }
}
