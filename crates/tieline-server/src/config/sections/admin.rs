//! The port for operators.

use std::{fmt, net::SocketAddr};

use crate::config::{
    option::{Invalid, Place, Setting},
    secret::Secret,
    section::section,
    types::quoted,
    unix_socket::UnixSocket,
};

section! {
    /// The port for operators: metrics and health.
    pub(crate) struct AdminSettings in "admin" {
        listen: Option<AdminListen> = None,
            "Address to listen on for operators, \"unix:/PATH\", or \"off\".",
            "It must not be that of clients. Beyond loopback it needs `admin.token`. A Unix socket has the permissions \
             0660, or those of \"unix:/PATH?mode=0600\".",
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

/// Whether operators can connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminListen {
    Off,
    At(AdminPlace),
}

/// Where operators connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminPlace {
    Address(SocketAddr),
    Unix(UnixSocket),
}

impl AdminPlace {
    /// Whether other machines cannot connect.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// As logs and errors name it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Unix(socket) => socket.place(),
        }
    }
}

impl fmt::Display for AdminPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(socket) => socket.fmt(f),
        }
    }
}

impl Setting for AdminListen {
    const EXPECTED: &'static str =
        "IP address and port, such as \"127.0.0.1:9464\", \"unix:/PATH\", or \"off\"";
    const METAVAR: &'static str = "ADDRESS";

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let place = match UnixSocket::parse(text, place) {
            Some(socket) => AdminPlace::Unix(socket?),
            None => AdminPlace::Address(text.parse().map_err(|_| Invalid::text(text))?),
        };
        Ok(Self::At(place))
    }

    fn show(&self) -> String {
        match self {
            Self::Off => quoted("off"),
            Self::At(place) => quoted(&place.to_string()),
        }
    }
}
