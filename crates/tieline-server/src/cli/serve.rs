//! `tieline serve`: its flags, and how it runs.
//!
//! Owns which options the command has, and how their settings start a node. Must not know how it is
//! started. Invariant: all settings are checked before anything starts.

use std::{path::PathBuf, thread};

use anyhow::Context;
use clap::Args;
use tokio::{runtime::Runtime, sync::oneshot};

use super::{
    configuration::{Checked, as_set, check},
    error::in_terms_of_flags,
    flags::{Flags, Subset},
};
use crate::{
    admin::token::LiveAdminToken,
    config::{option::Opt, sections::admin::AdminListen, settings::Layers},
    logging::{start_log, start_traces},
    supervisor::{
        reload::{Live, Loaded, Reload, SetLog},
        serve::{ServeSettings, serve},
        signals::{Signals, StopSignals},
    },
};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file (TOML); `tieline config default` prints one
    #[arg(long, value_name = "FILE", env = "TIELINE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) flags: Flags<ServeOptions>,
}

/// All options that have a flag.
pub(crate) struct ServeOptions;

impl Subset for ServeOptions {
    fn has(option: &Opt) -> bool {
        !option.flag.is_empty() || !option.file_flag.is_empty()
    }
}

impl Serve {
    pub(super) fn layers(&self) -> Layers {
        Layers {
            file: self.config.clone(),
            flags: self.flags.given(),
            is_used: |_| true,
        }
    }

    /// Reads the configuration and checks it.
    pub(crate) fn check(&self) -> anyhow::Result<Checked> {
        check(&self.layers())
    }

    /// Serves until a signal, which may have come before.
    pub(crate) fn run(self, runtime: &Runtime, mut signals: Signals) -> anyhow::Result<()> {
        let checking = self.check_unless_stopped(&mut signals.stop);
        let Some((serve, checked)) = runtime.block_on(checking)? else {
            return Ok(());
        };
        let log = &checked.settings.log;
        let (traces, _export) = start_traces(&checked.settings.traces, runtime)?;
        let set_log = start_log(log.format, log.level.filter(), traces);
        runtime.block_on(serve.serve(checked, set_log, signals))
    }

    /// Checks on a thread of its own, as no signal is to wait for a file that is slow. `None` if one has come.
    async fn check_unless_stopped(
        self,
        stop: &mut StopSignals,
    ) -> anyhow::Result<Option<(Self, Checked)>> {
        let (sender, checked) = oneshot::channel();
        let check = move || {
            let checked = self.check();
            // Nobody waits for it after a signal.
            drop(sender.send(checked.map(|checked| (self, checked))));
        };
        let thread = thread::Builder::new().name("configuration".into());
        thread.spawn(check)?;
        tokio::select! {
            biased;
            () = stop.first.come() => Ok(None),
            checked = checked => checked.context("the check of the configuration has panicked")?.map(Some),
        }
    }

    /// `set_log` replaces the levels of the log.
    async fn serve(
        self,
        checked: Checked,
        set_log: SetLog,
        signals: Signals,
    ) -> anyhow::Result<()> {
        let Checked {
            settings,
            values,
            serve: start,
        } = checked;
        values.warnings.iter().for_each(
            |warning| tracing::warn!(%warning, "a variable of the environment is ignored"),
        );
        let admin_listen = settings.admin.listen.clone();
        let listen_flag = |place: &str| match &admin_listen {
            Some(AdminListen::At(admin)) if admin.place() == place => "--admin-listen",
            _ => "--listen",
        };
        let reload = Reload {
            started: settings,
            set_log,
            live: live(&start),
            load: Box::new(move || {
                let checked = self.check()?;
                let loaded = Loaded {
                    live: live(&checked.serve),
                    certificates: checked.serve.certificates(),
                };
                Ok((checked.settings, loaded))
            }),
        };
        let served = serve(start, reload, signals).await;
        served.map_err(|error| as_set(in_terms_of_flags(error, listen_flag), &values))
    }
}

fn live(settings: &ServeSettings) -> Live {
    Live {
        issuers: settings.issuers.clone(),
        rules: settings.rules.clone(),
        aws: settings.aws.clone(),
        apps: settings.apps.clone(),
        webhooks: settings.webhooks.clone(),
        handlers: settings.handlers.clone(),
        admin_token: settings
            .admin
            .as_ref()
            .map_or_else(|| LiveAdminToken::new(None), |admin| admin.token.clone()),
    }
}

#[cfg(test)]
mod tests;
