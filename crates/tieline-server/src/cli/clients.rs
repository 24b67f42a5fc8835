//! The flags that say who may connect.
//!
//! Owns the hub, access without a token, and the allowed origins. Must not know how a request is
//! checked. Invariant: without a key and without `--anonymous`, only loopback addresses can be listened on.

use std::{net::SocketAddr, sync::Arc};

use clap::{Args, builder::BoolishValueParser};
use tieline::Origins;

use super::error::UsageError;
use crate::{
    app::{
        access::{Access, AnonymousAccess},
        namespace::Namespace,
        role::Roles,
        token::verify::Verifier,
    },
    supervisor::node::ClientSettings,
};

/// Who may connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Name of the hub, the last part of the URL that clients connect to
    #[arg(long, value_name = "NAME", default_value = "chat", env = "TIELINE_HUB")]
    hub: Namespace,
    /// Let clients without a token choose their name with ?user=, even on a public address
    ///
    /// By default they can connect only through localhost or a loopback address, because anyone could
    /// impersonate anyone; and not at all if the server has an access key.
    #[arg(long, env = "TIELINE_ANONYMOUS", value_parser = BoolishValueParser::new())]
    anonymous: bool,
    /// Role of clients without a token; repeatable. Any other word, such as none, permits nothing
    #[arg(
        long = "anonymous-role",
        value_name = "ROLE",
        default_values = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"],
        env = "TIELINE_ANONYMOUS_ROLES",
        value_delimiter = ','
    )]
    anonymous_roles: Vec<String>,
    /// Origin whose pages may connect; repeatable [default: the server's own]
    ///
    /// For example https://example.org. The origin * allows all pages.
    #[arg(
        long = "origin",
        value_name = "ORIGIN",
        value_parser = origin,
        env = "TIELINE_ORIGINS",
        value_delimiter = ','
    )]
    origins: Vec<String>,
}

impl Clients {
    pub(crate) fn settings(&self, verifier: Option<Verifier>) -> ClientSettings {
        let anonymous = self.anonymous_access(verifier.is_some());
        let roles = Roles::parse(&self.anonymous_roles);
        ClientSettings {
            hub: self.hub.clone(),
            access: Arc::new(Access::new(anonymous, roles, verifier)),
        }
    }

    fn anonymous_access(&self, has_tokens: bool) -> AnonymousAccess {
        match (self.anonymous, has_tokens) {
            (true, _) => AnonymousAccess::Anyone,
            // A proxy on this machine may send its own loopback address as the host of every request.
            (false, true) => AnonymousAccess::Never,
            (false, false) => AnonymousAccess::Loopback,
        }
    }

    pub(crate) fn origins(&self) -> Origins {
        if self.origins.is_empty() {
            Origins::SameHost
        } else if self.origins.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::List(self.origins.clone())
        }
    }

    /// The address, unless anonymous clients could reach it from other machines against the operator's
    /// intention: their `Host` header is what they say.
    pub(crate) fn check_listen(
        &self,
        address: SocketAddr,
        has_tokens: bool,
    ) -> Result<SocketAddr, UsageError> {
        let needs_loopback = self.anonymous_access(has_tokens) == AnonymousAccess::Loopback;
        if address.ip().is_loopback() || !needs_loopback {
            return Ok(address);
        }
        Err(UsageError(format!(
            "refusing to listen on {address}: clients could impersonate anyone; use 127.0.0.1, an access key \
             (--key-file) or --anonymous"
        )))
    }
}

/// Parses an origin in the form that browsers send.
fn origin(text: &str) -> Result<String, String> {
    let host = text
        .split_once("://")
        .map(|(_, host)| host.trim_end_matches('/'));
    if text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        return Ok(text.into());
    }
    Err("expected scheme and host, such as https://example.org, or *".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_requires_a_key_or_explicit_anonymous_access() {
        let mut clients = Clients {
            hub: "chat".parse().unwrap(),
            anonymous: false,
            anonymous_roles: Vec::new(),
            origins: Vec::new(),
        };
        let public = "0.0.0.0:8080".parse().unwrap();
        let loopback = "[::1]:8080".parse().unwrap();
        assert!(clients.check_listen(public, false).is_err());
        assert_eq!(clients.check_listen(loopback, false).unwrap(), loopback);
        assert_eq!(clients.check_listen(public, true).unwrap(), public);
        assert_eq!(clients.anonymous_access(true), AnonymousAccess::Never);
        clients.anonymous = true;
        assert_eq!(clients.check_listen(public, false).unwrap(), public);
    }
}
