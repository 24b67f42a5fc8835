//! The flags of a registry.

use std::{fmt, time::Duration};

use clap::{Args, builder::NonEmptyStringValueParser};

use crate::{registry::RegistryPlan, usage::Usage};

/// The default of --connections for a registry.
const CLAIMS: usize = 100_000;

/// The registry under test.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(in crate::cli) struct RegistryArgs {
    /// Measure this registry instead of a server, for example redis://HOST:6379 or etcd://HOST:2379
    #[arg(long = "registry", id = "registry", value_name = "URL",
        conflicts_with_all = ["urls", "commands", "pids"])]
    url: Option<Secret>,
    /// Prefix of the entries to write and remove; never use the prefix of a live cluster [default:
    /// tieline-bench]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    /// Number of nodes to spread the claims over [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: Option<u16>,
}

impl RegistryArgs {
    /// The plan, if a registry is given.
    pub(super) fn plan(
        &self,
        claims: Option<usize>,
        duration: Duration,
    ) -> Result<Option<RegistryPlan>, Usage> {
        let Some(Secret(url)) = &self.url else {
            // Clap accepts these flags beside --url, which conflicts with --registry.
            if self.nodes.is_some() || self.prefix.is_some() {
                let why = "--nodes and --prefix need --registry";
                return Err(Usage(why.into()));
            }
            return Ok(None);
        };
        let nodes = self.nodes.unwrap_or(1);
        let prefix = self.prefix.as_deref().unwrap_or("tieline-bench");
        let claims = claims.unwrap_or(CLAIMS);
        if claims < usize::from(nodes) {
            return Err(Usage("--connections must be at least --nodes".into()));
        }
        let plan = RegistryPlan {
            url: url.clone(),
            prefix: prefix.to_owned(),
            nodes,
            claims,
            duration,
        };
        Ok(Some(plan))
    }
}

/// A URL that may contain a password, and is not shown in debug output.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
