//! The port for operators.

use std::net::SocketAddr;

use crate::config::{
    option::{Invalid, Place, Setting},
    secret::Secret,
    section::section,
    types::quoted,
};

section! {
    /// The port for operators: metrics and health.
    pub(crate) struct AdminSettings in "admin" {
        listen: Option<AdminListen> = None,
            "Address to listen on for operators, or \"off\".",
            "It must not be that of clients. Beyond loopback it needs `admin.token`.",
            flag: "admin-listen", without: "127.0.0.1:9464, or a free port of loopback if that one is taken";
        token: Option<Secret> = None,
            "Token that requests to the admin port must have, as \"Authorization: Bearer\".",
            "At least 16 characters without spaces; `tieline key` makes one. Without it, requests must be for a loopback \
             address or localhost. Health needs no token.",
            file_flag: "admin-token-file", variable: "TIELINE_ADMIN_TOKEN", without: "none", live: true;
        tls: bool = false,
            "Serve the admin port with the certificate of `tls.cert`.",
            "Operators need no certificate, whatever `tls.client_ca` says. Without TLS, the token is readable on the \
             network: then listen on one that you trust.",
            flag: "admin-tls";
        read_only: bool = false,
            "Let users of the admin port look and change nothing.",
            "Requests to drain a node, or to close or send to a connection, get 403.",
            flag: "admin-read-only";
        show_payloads: bool = false,
            "Show operators who follow a client the first 1,024 bytes of what it sends and gets.",
            "Without it, they see what frames are, their groups, events and sizes. Each node decides for its clients.",
            flag: "admin-show-payloads";
    }
}

/// Where operators connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminListen {
    Off,
    At(SocketAddr),
}

impl Setting for AdminListen {
    const EXPECTED: &'static str = "IP address and port, such as \"127.0.0.1:9464\", or \"off\"";
    const METAVAR: &'static str = "ADDRESS";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| Invalid::text(text))
    }

    fn show(&self) -> String {
        match self {
            Self::Off => quoted("off"),
            Self::At(address) => quoted(&address.to_string()),
        }
    }
}
