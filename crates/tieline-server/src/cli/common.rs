//! The flags and parsers that commands share.
//!
//! Owns the address to listen on, the TLS files and the log format. Must not listen or start logging: it
//! only parses flags and reads the files that they name.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tieline::Tls;

use super::clients::Clients;

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Address to listen on; port 0 picks a free port
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
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "TIELINE_TLS_KEY"
    )]
    tls_key: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads certificate and key, if they are given.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        Ok(Some(Tls::from_pem(&read(cert)?, &read(key)?)?))
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct Log {
    /// Format of the log lines on standard error
    ///
    /// The environment variable RUST_LOG sets the level, for example RUST_LOG=debug or
    /// RUST_LOG=tieline=debug,hyper=warn.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        env = "TIELINE_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text per event
    Text,
    /// One JSON object per event
    Json,
}

/// Parses an address to listen on. Host names are refused: a name can resolve to several addresses.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected IP address and port, such as 127.0.0.1:8080 or 0.0.0.0:8080".into())
}

/// Reads a file that a flag names.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
