//! `tieline demo`: its flags, and how it runs.
//!
//! Owns which options the command has, and the defaults that differ from `tieline serve`, such as a short
//! drain. Must not know how the nodes are started. Invariant: all settings are checked before anything
//! starts.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use tieline::Config;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use super::{
    cluster::registry,
    configuration::{as_set, rules},
    error::in_terms_of_flags,
    flags::{Flags, Subset},
    listening::check_listen,
};
use crate::{
    app::{
        jwks::issuer::Issuers,
        key::{AccessKey, AccessKeys},
        token::verify::Verifier,
    },
    config::{
        error::ConfigErrors,
        listen::{Listen, Listeners, Scheme},
        option::Opt,
        sections::{hub::Anonymous, log::LogSettings},
        settings::{Layers, Settings},
        source,
        values::Values,
    },
    logging::start_log,
    supervisor::demo::{DemoSettings, demo},
};

/// What it logs, unless told otherwise. Both nodes end at the same time, and each link would warn that its peer is gone.
const LEVEL: &str = "warn,tieline::link=error";

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address of the second node [default: the port after that of --listen, or a free one]
    #[arg(long, value_name = "ADDRESS", value_parser = address, env = "TIELINE_SECOND")]
    second: Option<SocketAddr>,
    #[command(flatten)]
    flags: Flags<DemoOptions>,
}

/// What the demo shares with `tieline serve`.
struct DemoOptions;

impl Subset for DemoOptions {
    fn has(option: &Opt) -> bool {
        let registry = [
            "registry",
            "prefix",
            "registry-ca",
            "registry-cert",
            "registry-key",
        ];
        ["hub_defaults", "log"].contains(&option.section)
            || option.flag == "listen"
            || registry.contains(&option.flag)
    }
}

/// What the demo starts with.
struct CheckedDemo {
    settings: Settings,
    values: Values,
    start: DemoSettings,
}

impl CheckedDemo {
    /// How to log, and the level if anybody set it.
    fn log(&self) -> (&LogSettings, bool) {
        let [_, level] = LogSettings::OPTIONS else {
            return (&self.settings.log, false);
        };
        (&self.settings.log, self.values.shown(level, None).is_some())
    }
}

/// The address of the first node.
fn only_address(listen: &Listeners) -> Result<SocketAddr, ConfigErrors> {
    let mut all = listen.iter();
    match (all.next(), all.next()) {
        (Some(Listen::Address(address, None | Some(Scheme::Http))), None) => Ok(*address),
        _ => Err(ConfigErrors::one(
            "`tieline demo` listens on one address: set --listen to it",
        )),
    }
}

impl Demo {
    /// Reads the configuration, which is in the environment and in flags, and checks it.
    fn check(&self) -> anyhow::Result<CheckedDemo> {
        let layers = Layers {
            file: None,
            flags: self.flags.given(),
            is_used: DemoOptions::has,
        };
        let (settings, values) = layers.load(&source::environment())?;
        let start = self
            .settings(&settings)
            .map_err(|error| as_set(error, &values))?;
        Ok(CheckedDemo {
            settings,
            values,
            start,
        })
    }

    /// Runs until a signal.
    pub(crate) fn run(self, runtime: &Runtime) -> anyhow::Result<()> {
        let checked = self.check()?;
        let (log, is_level_set) = checked.log();
        let level = if is_level_set {
            log.level.filter()
        } else {
            EnvFilter::new(LEVEL)
        };
        let _set_log = start_log(log.format, level, None);
        runtime.block_on(Self::serve(checked))
    }

    async fn serve(checked: CheckedDemo) -> anyhow::Result<()> {
        let listen = checked.start.listen;
        let flag = |place: &str| {
            if place == listen.to_string() {
                "--listen"
            } else {
                "--second"
            }
        };
        let served = demo(checked.start).await;
        served.map_err(|error| as_set(in_terms_of_flags(error, flag), &checked.values))
    }

    fn settings(&self, settings: &Settings) -> anyhow::Result<DemoSettings> {
        // A visitor does not want to wait for a drain.
        let config = Config {
            drain_window: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            ..Config::default()
        };
        config
            .validate()
            .map_err(|error| ConfigErrors::one(error.to_string()))?;
        // Its pages have tokens, and other clients may connect as they can to a server without a key.
        let anonymous = Anonymous::Loopback;
        let check = |address| check_listen(settings, address, anonymous);
        let key = AccessKey::generate().context("the system has no random bytes")?;
        let keys = AccessKeys {
            primary: key.clone(),
            secondary: None,
        };
        let verifier = Arc::new(Verifier::new(Some(&keys), Issuers::default(), Vec::new()));
        Ok(DemoSettings {
            listen: check(only_address(&settings.general.listen)?)?,
            second: self.second.map(check).transpose()?,
            rules: rules(settings, Some(&verifier), None, anonymous, BTreeMap::new()),
            key,
            roles: settings.hubs.defaults().anonymous_roles.clone(),
            config,
            registry: registry(settings)?,
        })
    }
}

/// Parses an address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected IP address and port, such as 127.0.0.1:8081 or 0.0.0.0:8081".into())
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
        assert!(demo.check().is_ok());
    }
}
