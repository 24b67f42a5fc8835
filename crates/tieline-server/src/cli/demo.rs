//! `tieline demo`: its flags, and how it runs.
//!
//! Owns the defaults that differ from `tieline serve`, such as a short drain. Must not know how the
//! nodes are started. Invariant: all settings are checked before anything starts.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use tieline::Config;

use super::{
    common::{Common, address},
    error::{UsageError, in_terms_of_flags},
    registry::RegistryFlags,
};
use crate::supervisor::demo::{DemoSettings, demo};

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address of the second node [default: the port after that of --listen, or a free one]
    #[arg(long, value_name = "ADDRESS", value_parser = address, env = "TIELINE_SECOND")]
    second: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let listen = self.common.listen;
        let flag = |address| {
            if address == listen {
                "--listen"
            } else {
                "--second"
            }
        };
        let served = demo(self.settings()?).await;
        served.map_err(|error| in_terms_of_flags(error, flag))
    }

    fn settings(&self) -> anyhow::Result<DemoSettings> {
        let clients = &self.common.clients;
        // A visitor does not want to wait for a drain.
        let config = Config {
            drain_window: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            origins: clients.origins(),
            ..Config::default()
        };
        config
            .validate()
            .map_err(|error| UsageError(error.to_string()))?;
        let second = self
            .second
            .map(|address| clients.check_listen(address, false));
        Ok(DemoSettings {
            listen: clients.check_listen(self.common.listen, false)?,
            second: second.transpose()?,
            clients: clients.settings(None),
            config,
            registry: self.registry.settings()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::command::{Cli, Command};

    #[test]
    fn the_defaults_are_valid_settings() {
        let Command::Demo(demo) = Cli::parse_from(["tieline", "demo"]).command else {
            panic!("demo is not demo");
        };
        assert!(demo.settings().is_ok());
    }
}
