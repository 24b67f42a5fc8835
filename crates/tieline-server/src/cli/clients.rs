//! The flags that say who may connect.
//!
//! Owns the hub, access without a token, and the allowed origins. Must not know how a request is
//! checked. Invariant: without `--anonymous`, only loopback addresses can be listened on.

use std::net::SocketAddr;

use clap::{Args, builder::BoolishValueParser};
use tieline::Origins;

use super::error::UsageError;
use crate::{
    app::{access::AnonymousAccess, namespace::Namespace},
    supervisor::node::ClientSettings,
};

/// Who may connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Name of the hub, the last part of the URL that clients connect to
    #[arg(long, value_name = "NAME", default_value = "chat", env = "TIELINE_HUB")]
    hub: Namespace,
    /// Let clients choose their name with ?user=, even on a public address
    ///
    /// By default, clients can connect only through localhost or a loopback address, because anyone
    /// could impersonate anyone.
    #[arg(long, env = "TIELINE_ANONYMOUS", value_parser = BoolishValueParser::new())]
    anonymous: bool,
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
    pub(crate) fn settings(&self) -> ClientSettings {
        ClientSettings {
            hub: self.hub.clone(),
            access: if self.anonymous {
                AnonymousAccess::Anyone
            } else {
                AnonymousAccess::Loopback
            },
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
    /// intention.
    pub(crate) fn check_listen(&self, address: SocketAddr) -> Result<SocketAddr, UsageError> {
        if self.anonymous || address.ip().is_loopback() {
            return Ok(address);
        }
        Err(UsageError(format!(
            "refusing to listen on {address}: clients could impersonate anyone; use 127.0.0.1 or --anonymous"
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
    fn a_public_address_requires_explicit_anonymous_access() {
        let mut clients = Clients {
            hub: "chat".parse().unwrap(),
            anonymous: false,
            origins: Vec::new(),
        };
        let public = "0.0.0.0:8080".parse().unwrap();
        let loopback = "[::1]:8080".parse().unwrap();
        assert!(clients.check_listen(public).is_err());
        assert_eq!(clients.check_listen(loopback).unwrap(), loopback);
        clients.anonymous = true;
        assert_eq!(clients.check_listen(public).unwrap(), public);
    }
}
