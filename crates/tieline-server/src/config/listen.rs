//! Where a node listens for clients.
//!
//! Owns the notation, and what has TLS. Must not open anything.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use super::{
    option::{Invalid, Place, Setting},
    types::quoted,
    unix_socket::UnixSocket,
};

/// What a text begins with that means sockets of systemd.
const SYSTEMD: &str = "systemd";

/// One place to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// With TLS if the node has a certificate, unless the scheme says it.
    Address(SocketAddr, Option<Scheme>),
    Unix(UnixSocket),
    /// Sockets that systemd has opened: those of this name, or all.
    Systemd(Option<String>),
}

/// Whether an address has TLS, said by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// All places to listen on; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listeners(Vec<Listen>);

impl Listeners {
    pub(crate) fn new(first: SocketAddr) -> Self {
        Self(vec![Listen::Address(first, None)])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listen> {
        self.0.iter()
    }

    /// The addresses that are known before anything is opened.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().filter_map(|listen| match listen {
            Listen::Address(address, _) => Some(*address),
            Listen::Unix(_) | Listen::Systemd(_) => None,
        })
    }
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }
}

impl Listen {
    fn parse(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        if let Some(socket) = UnixSocket::parse(text, place) {
            return socket.map(Self::Unix);
        }
        let parsed = match text.strip_prefix(SYSTEMD) {
            Some("") => Some(Self::Systemd(None)),
            Some(name) => {
                let name = name.strip_prefix(':').filter(|name| !name.is_empty());
                name.map(|name| Self::Systemd(Some(name.to_owned())))
            }
            None => Self::address(text),
        };
        parsed.ok_or_else(|| Invalid::text(text))
    }

    fn address(text: &str) -> Option<Self> {
        let mut schemes = [Scheme::Http, Scheme::Https].into_iter();
        let with_scheme =
            schemes.find_map(|scheme| Some((text.strip_prefix(scheme.prefix())?, scheme)));
        let (address, scheme) = match with_scheme {
            Some((address, scheme)) => (address, Some(scheme)),
            None => (text, None),
        };
        Some(Self::Address(address.parse().ok()?, scheme))
    }

    /// Whether clients speak TLS there, with a node that has a certificate or not. A Unix socket, also one of systemd,
    /// has none: what passes there leaves no machine.
    pub(crate) fn is_tls(&self, has_certificate: bool) -> bool {
        match self {
            Self::Address(_, Some(scheme)) => *scheme == Scheme::Https,
            Self::Address(_, None) | Self::Systemd(_) => has_certificate,
            Self::Unix(_) => false,
        }
    }

    /// Whether it is this address.
    pub(crate) fn is_at(&self, other: SocketAddr) -> bool {
        matches!(self, Self::Address(address, _) if *address == other)
    }

    /// Whether both cannot be opened.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(a, _), Self::Address(b, _)) => overlap(*a, *b),
            (Self::Unix(a), Self::Unix(b)) => a.path == b.path,
            (Self::Systemd(a), Self::Systemd(b)) => a == b,
            _ => false,
        }
    }
}

/// Whether a system that has opened one address refuses the other: that of all addresses takes the port of each.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (first, second) = (one.ip(), other.ip());
    let is_all = |ip: IpAddr| ip.is_unspecified() && first.is_ipv4() == second.is_ipv4();
    let is_same = first == second || is_all(first) || is_all(second);
    is_same && one.port() == other.port() && one.port() != 0
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, scheme) => {
                f.write_str(scheme.map_or("", Scheme::prefix))?;
                address.fmt(f)
            }
            Self::Unix(socket) => socket.fmt(f),
            Self::Systemd(None) => f.write_str(SYSTEMD),
            Self::Systemd(Some(name)) => write!(f, "{SYSTEMD}:{name}"),
        }
    }
}

/// Host names are refused: a name can resolve to several addresses.
impl Setting for Listeners {
    const EXPECTED: &'static str = "IP address and port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8080\", after \
                                    \"http://\" or \"https://\" or alone, \"unix:/PATH\", \"systemd\", \
                                    \"systemd:NAME\", or a list of them";
    const METAVAR: &'static str = "ADDRESS";
    const IS_LIST: bool = true;

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let listens = text
            .split(',')
            .map(|text| Listen::parse(text.trim(), place));
        Invalid::collect(listens).map(Self)
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => Self::from_text(text, place),
            toml::Value::Array(items) if !items.is_empty() => {
                let listens = items.iter().map(|item| {
                    let text = item.as_str().ok_or_else(|| Invalid::found(item))?;
                    Listen::parse(text, place)
                });
                Invalid::collect(listens).map(Self)
            }
            toml::Value::Array(_) => Err(Invalid::Found("an empty list".into())),
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        let items: Vec<_> = self
            .0
            .iter()
            .map(|listen| quoted(&listen.to_string()))
            .collect();
        match &items[..] {
            [only] => only.clone(),
            items => format!("[{}]", items.join(", ")),
        }
    }
}
