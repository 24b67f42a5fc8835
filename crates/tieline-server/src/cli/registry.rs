//! The flags that say which registry to use.
//!
//! Owns the URL, the name of the cluster and the certificates, and reads their files. Must not connect.
//! Invariant: the URL is checked only after the command line was parsed, because the parser prints what
//! it refuses, and the URL may contain a password.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, builder::NonEmptyStringValueParser};
use tieline::registry::RegistryTls;

use crate::supervisor::registry::{RegistrySettings, RegistryUrl};

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct RegistryFlags {
    /// Registry that the nodes of the cluster share [default: none (single node;
    /// `demo`: in memory)]
    ///
    /// For example redis://HOST:6379 or etcd://HOST:2379. If the URL contains a password, use the
    /// environment variable: other users can read command lines.
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_REGISTRY",
        hide_env_values = true
    )]
    registry: Option<RegistryUrl>,
    /// Name of the cluster in the registry
    ///
    /// It must be the same on all nodes of the cluster.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tieline",
        value_parser = NonEmptyStringValueParser::new(),
        requires = "registry",
        env = "TIELINE_PREFIX"
    )]
    prefix: String,
    /// CA certificates that verify the registry (PEM) [default: the system's]
    ///
    /// For rediss:// and etcds://. Required for etcds://.
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry",
        env = "TIELINE_REGISTRY_CA"
    )]
    registry_ca: Option<PathBuf>,
    /// Client certificate chain for the registry, leaf first (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["registry", "registry_key"],
        env = "TIELINE_REGISTRY_CERT")]
    registry_cert: Option<PathBuf>,
    /// Private key of --registry-cert (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry_cert",
        env = "TIELINE_REGISTRY_KEY"
    )]
    registry_key: Option<PathBuf>,
}

impl RegistryFlags {
    /// The settings, if a registry is given. Checks its URL and reads its certificates.
    pub(crate) fn settings(&self) -> anyhow::Result<Option<RegistrySettings>> {
        let Some(url) = &self.registry else {
            return Ok(None);
        };
        url.check()?;
        Ok(Some(RegistrySettings {
            url: url.clone(),
            prefix: self.prefix.clone(),
            tls: self.tls()?,
        }))
    }

    fn tls(&self) -> anyhow::Result<RegistryTls> {
        let client = match (&self.registry_cert, &self.registry_key) {
            (Some(certificate), Some(key)) => Some((read_text(certificate)?, read_text(key)?)),
            _ => None,
        };
        let authority = self.registry_ca.as_deref().map(read_text).transpose()?;
        Ok(RegistryTls { authority, client })
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
