//! Who may connect: the flags, and what they mean.

use std::net::SocketAddr;

use clap::{Args, builder::BoolishValueParser};
use tieline::Origins;

use crate::app::{access::AnonymousAccess, namespace::Namespace};

/// Who may connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Name of the hub, the last part of the clients' path
    #[arg(long, value_name = "NAME", default_value = "chat", env = "TIELINE_HUB")]
    pub(crate) hub: Namespace,
    /// Let anyone name themselves by ?user=, also where --listen is not loopback
    #[arg(long, env = "TIELINE_ANONYMOUS", value_parser = BoolishValueParser::new())]
    pub(crate) anonymous: bool,
    /// Origin whose pages may connect, such as https://example.org; may be repeated; * is any
    /// [default: the server's own]
    #[arg(
        long = "origin",
        value_name = "ORIGIN",
        value_parser = origin,
        env = "TIELINE_ORIGINS",
        value_delimiter = ','
    )]
    pub(crate) origins: Vec<String>,
}

impl Clients {
    pub(crate) fn access(&self) -> AnonymousAccess {
        if self.anonymous {
            AnonymousAccess::Anyone
        } else {
            AnonymousAccess::Loopback
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

    /// Why these clients may not be served on this address, if they may not.
    pub(crate) fn bind_error(&self, listen: SocketAddr) -> Option<String> {
        let open = self.anonymous || listen.ip().is_loopback();
        (!open).then(|| {
            format!(
                "on {listen} anyone could connect as anyone, because clients name themselves by \
                 ?user=; listen on 127.0.0.1, or say --anonymous if that is meant"
            )
        })
    }
}

/// An origin as browsers send it.
fn origin(text: &str) -> Result<String, String> {
    let host = text
        .split_once("://")
        .map(|(_, host)| host.trim_end_matches('/'));
    if text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        return Ok(text.into());
    }
    Err("write scheme and host, as in https://example.org".into())
}
