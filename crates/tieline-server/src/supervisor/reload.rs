//! Reloads the configuration on SIGHUP, and keeps up to date what it refers to.
//!
//! Owns which changes are applied to a running node, and what is logged about all of them. Must not know the
//! layers of the configuration: it is given a function that reads and checks them. Invariant: a
//! configuration with an error changes nothing.

use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinHandle, block_in_place},
};
use tracing_subscriber::EnvFilter;

use crate::{
    admin::token::LiveAdminToken,
    app::{hubs::LiveHubRules, jwks::issuer::Issuers},
    config::settings::Settings,
    metrics::METRICS,
    wire::{aws::key_pair::LiveKeyPair, webpubsub::upstream::LiveHandlers},
};

/// Reads and checks the configuration.
pub(crate) type Load = Box<dyn Fn() -> anyhow::Result<(Settings, Live)> + Send>;
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

/// What a running node looks up whenever it needs it.
#[derive(Clone)]
pub(crate) struct Live {
    /// Whose tokens the rules accept.
    pub(crate) issuers: Issuers,
    /// Who may connect to which hub.
    pub(crate) rules: LiveHubRules,
    /// What signs the requests of backends to `@connections`.
    pub(crate) aws: LiveKeyPair,
    /// Where the events of each hub go.
    pub(crate) handlers: LiveHandlers,
    /// What requests to the admin port must have.
    pub(crate) admin_token: LiveAdminToken,
}

impl Reload {
    /// Reloads at each SIGHUP from now on, and fetches the keys of issuers in between. The caller ends the task.
    pub(super) fn start(self) -> anyhow::Result<JoinHandle<()>> {
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(tokio::spawn(async move {
            let mut applied = self.started.clone();
            let mut issuers = self.live.issuers.clone();
            loop {
                tokio::select! {
                    hung_up = hangup.recv() => {
                        if hung_up.is_none() {
                            return;
                        }
                    }
                    () = issuers.keep_fresh() => {}
                }
                // It reads files, which may be slow.
                match block_in_place(&self.load) {
                    Ok((settings, live)) => {
                        live.issuers.adopt(&issuers);
                        issuers = live.issuers;
                        self.live.rules.replace(&live.rules);
                        self.live.aws.replace(&live.aws);
                        self.live.handlers.replace(&live.handlers);
                        self.live.admin_token.replace(&live.admin_token);
                        self.apply(&applied, &settings);
                        applied = settings;
                        METRICS.reloaded(true);
                    }
                    Err(error) => {
                        METRICS.reloaded(false);
                        tracing::error!(
                            "the configuration was not reloaded, and nothing has changed: {error:#}"
                        );
                    }
                }
            }
        }))
    }

    /// Applies the changes that a running node can take.
    fn apply(&self, applied: &Settings, settings: &Settings) {
        let live = changes(applied, settings, true);
        // What needs a restart is reported by each reload until then.
        let fixed = changes(&self.started, settings, false);
        let report = || {
            tracing::info!(applied = live, "configuration reloaded");
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
            tracing::error!("the log level was not changed: {error:#}");
        }
        if !is_logged {
            report();
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
