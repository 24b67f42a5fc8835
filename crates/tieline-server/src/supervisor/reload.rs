//! Reloads the configuration on SIGHUP, and keeps up to date what it refers to: keys of issuers, and certificates.
//!
//! Owns which changes are applied to a running node, and what is logged about all of them. Must not know the
//! layers of the configuration: it is given a function that reads and checks them. Invariant: a
//! configuration with an error changes nothing.

use std::{pin::pin, time::Duration};

use tokio::{
    signal::unix::Signal,
    task::{JoinHandle, block_in_place},
    time::sleep,
};
use tracing_subscriber::EnvFilter;

use super::{
    certificates::{CertificateFiles, LiveCertificates},
    expiry, systemd,
};
use crate::{
    admin::token::LiveAdminToken,
    app::{hubs::LiveHubRules, jwks::issuer::Issuers},
    config::{error::ConfigErrors, sections::admin::AdminListen, settings::Settings},
    metrics::METRICS,
    wire::{
        aws::key_pair::LiveKeyPair,
        pusher::{app::LiveApps, webhooks::LiveWebhooks},
        webpubsub::upstream::LiveHandlers,
    },
};

/// Reads and checks the configuration.
pub(crate) type Load = Box<dyn Fn() -> anyhow::Result<(Settings, Loaded)> + Send>;
/// Replaces the levels of the log.
pub(crate) type SetLog = Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send>;

/// What a reload needs.
pub(crate) struct Reload {
    /// What the node was started with.
    pub(crate) started: Settings,
    pub(crate) load: Load,
    pub(crate) set_log: SetLog,
    pub(crate) live: Live,
}

/// What a configuration has for a running node.
pub(crate) struct Loaded {
    pub(crate) live: Live,
    pub(crate) certificates: CertificateFiles,
}

/// What a running node looks up whenever it needs it.
#[derive(Clone)]
pub(crate) struct Live {
    /// Whose tokens the rules accept.
    pub(crate) issuers: Issuers,
    /// Who may connect to which hub.
    pub(crate) rules: LiveHubRules,
    /// What signs the requests of backends to `@connections`.
    pub(crate) aws: LiveKeyPair,
    /// The apps of Pusher Channels.
    pub(crate) apps: LiveApps,
    /// Where their events go.
    pub(crate) webhooks: LiveWebhooks,
    /// Where the events of each hub go.
    pub(crate) handlers: LiveHandlers,
    /// What requests to the admin port must have.
    pub(crate) admin_token: LiveAdminToken,
}

impl Reload {
    /// Reloads at each SIGHUP, also at one that has come before, and in between fetches the keys of issuers and looks
    /// at the files of certificates. The caller ends the task.
    pub(super) fn start(
        self,
        mut hangup: Signal,
        mut certificates: LiveCertificates,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut applied = self.started.clone();
            let mut issuers = self.live.issuers.clone();
            while until_hangup(&mut hangup, &applied, &issuers, &mut certificates).await {
                // It reads files, which may be slow.
                block_in_place(|| self.reload(&mut applied, &mut issuers, &mut certificates));
            }
        })
    }

    fn reload(
        &self,
        applied: &mut Settings,
        issuers: &mut Issuers,
        certificates: &mut LiveCertificates,
    ) {
        // Before it has joined, the node is not ready, and a reload would say so.
        let has_joined = certificates.has_joined();
        if has_joined {
            systemd::is_reloading();
        }
        let loaded = (self.load)();
        METRICS.reloaded(loaded.is_ok());
        match loaded {
            Ok((settings, loaded)) => {
                let Loaded {
                    live,
                    certificates: files,
                } = loaded;
                live.issuers.adopt(issuers);
                *issuers = live.issuers;
                self.live.rules.replace(&live.rules);
                self.live.aws.replace(&live.aws);
                self.live.apps.replace(&live.apps);
                self.live.webhooks.replace(&live.webhooks);
                self.live.handlers.replace(&live.handlers);
                self.replace_admin_token(&live.admin_token);
                certificates.replace(&files);
                self.apply(applied, &settings);
                *applied = settings;
            }
            Err(error) => {
                // A line of the log is one line.
                let mistakes = error.downcast_ref().map(ConfigErrors::in_one_line);
                let error = mistakes.unwrap_or_else(|| format!("{error:#}"));
                tracing::error!(
                    error = %error,
                    "the configuration was not reloaded, and nothing has changed"
                );
            }
        }
        if has_joined {
            systemd::is_ready();
        }
    }

    /// Without one, the guard of the port answers nobody beyond loopback, and everybody on it.
    fn replace_admin_token(&self, new: &LiveAdminToken) {
        let own = &self.live.admin_token;
        let is_removed = own.is_set() && !new.is_set();
        own.replace(new);
        if is_removed && self.started.admin.listen != Some(AdminListen::Off) {
            tracing::warn!(
                "admin.token was removed: whoever can connect to the admin port on this machine may use it"
            );
        }
    }

    /// Applies the changes that a running node can take.
    fn apply(&self, applied: &Settings, settings: &Settings) {
        let live = changes(applied, settings, true);
        // What needs a restart is reported by each reload until then.
        let fixed = changes(&self.started, settings, false);
        let report = || {
            if live.is_empty() {
                tracing::info!("configuration reloaded; no option in use has changed");
            } else {
                tracing::info!(applied = live, "configuration reloaded");
            }
            if !fixed.is_empty() {
                tracing::warn!(changed = fixed, "these changes need a restart");
            }
        };
        // Before a level that hides the report, and after one that shows it.
        let is_logged = tracing::enabled!(tracing::Level::INFO);
        if is_logged {
            report();
        }
        if let Err(error) = (self.set_log)(settings.log.level.filter()) {
            tracing::error!(error = %format_args!("{error:#}"), "the log level was not changed");
        }
        // Asked again, also because a filter remembers for a moment that it has said no.
        if !is_logged && tracing::enabled!(tracing::Level::INFO) {
            report();
        }
    }
}

/// Keeps up to date what the configuration refers to until the next SIGHUP; false if there will be none.
async fn until_hangup(
    hangup: &mut Signal,
    applied: &Settings,
    issuers: &Issuers,
    certificates: &mut LiveCertificates,
) -> bool {
    let interval = applied.tls.check_interval;
    // Files that are not looked at are no reason to say nothing of the certificates in use.
    let (looks, interval) = match interval {
        Duration::ZERO => (false, expiry::AGAIN),
        interval => (true, interval),
    };
    // Begun once: it fetches the keys when it begins.
    let mut keys = pin!(issuers.keep_fresh());
    loop {
        tokio::select! {
            signal = hangup.recv() => return signal.is_some(),
            () = &mut keys => {}
            () = sleep(interval) => {
                if looks {
                    block_in_place(|| certificates.check(applied));
                } else {
                    certificates.look_at_expiry();
                }
            }
        }
    }
}

/// The places of the options that differ, those that can be applied or those that cannot.
fn changes(old: &Settings, new: &Settings, live: bool) -> String {
    let changes = old.changes(new).into_iter();
    let places = changes.filter(|(_, option)| option.live == live);
    places
        .map(|(place, _)| place)
        .collect::<Vec<_>>()
        .join(", ")
}
