//! `tieline serve`: its flags, and how it runs.
//!
//! Owns which groups of flags the command has, and puts their settings together. Must not know how the
//! node is started. Invariant: all settings are checked before anything starts.

use clap::Args;

use super::{
    common::{Common, TlsFiles},
    error::{UsageError, in_terms_of_flags},
    event_handler::EventHandlerFlags,
    limits::{self, Limits},
    peers::PeerFlags,
    registry::RegistryFlags,
    tokens::TokenFlags,
};
use crate::supervisor::serve::{ServeSettings, serve};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    tokens: TokenFlags,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    tls: TlsFiles,
    #[command(flatten)]
    registry: RegistryFlags,
    #[command(flatten)]
    peers: PeerFlags,
    #[command(flatten)]
    event_handler: EventHandlerFlags,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let served = serve(self.settings()?).await;
        served.map_err(|error| in_terms_of_flags(error, |_| "--listen"))
    }

    fn settings(&self) -> anyhow::Result<ServeSettings> {
        let config = self.limits.config(self.common.clients.origins());
        config.validate().map_err(|error| {
            let text = limits::in_terms_of_flags(&error.to_string());
            UsageError(text)
        })?;
        let keys = self.tokens.keys()?;
        let verifier = self.tokens.verifier(keys.as_ref())?;
        let clients = &self.common.clients;
        let listen = clients.check_listen(self.common.listen, verifier.is_some())?;
        let clients = clients.settings(verifier);
        let upstream =
            self.event_handler
                .settings(&clients.hub, listen.ip(), keys.as_ref(), &config)?;
        Ok(ServeSettings {
            listen,
            upstream,
            registry: self.registry.settings()?,
            cluster: self.peers.config(&config)?,
            tls: self.tls.read()?,
            clients,
            config,
            drain_delay: self.limits.drain_delay(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::command::{Cli, Command};

    #[test]
    fn the_defaults_are_valid_settings() {
        let Command::Serve(serve) = Cli::parse_from(["tieline", "serve"]).command else {
            panic!("serve is not serve");
        };
        assert!(serve.settings().is_ok());
    }
}
