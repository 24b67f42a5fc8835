//! Where a node listens for clients.
//!
//! Owns the notation. Must not open anything.

use std::{fmt, net::SocketAddr};

use super::{
    option::{Invalid, Place, Setting},
    types::quoted,
};

/// What a text begins with that means sockets of systemd.
const SYSTEMD: &str = "systemd";

/// One place to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    Address(SocketAddr),
    /// Sockets that systemd has opened: those of this name, or all.
    Systemd(Option<String>),
}

/// All places to listen on; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listeners(Vec<Listen>);

impl Listeners {
    pub(crate) fn new(first: SocketAddr) -> Self {
        Self(vec![Listen::Address(first)])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listen> {
        self.0.iter()
    }

    /// The addresses that are known before anything is opened.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().filter_map(|listen| match listen {
            Listen::Address(address) => Some(*address),
            Listen::Systemd(_) => None,
        })
    }
}

impl Listen {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(SYSTEMD) {
            Some("") => Some(Self::Systemd(None)),
            Some(name) => {
                let name = name.strip_prefix(':').filter(|name| !name.is_empty())?;
                Some(Self::Systemd(Some(name.to_owned())))
            }
            None => text.parse().ok().map(Self::Address),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Systemd(None) => f.write_str(SYSTEMD),
            Self::Systemd(Some(name)) => write!(f, "{SYSTEMD}:{name}"),
        }
    }
}

/// Host names are refused: a name can resolve to several addresses.
impl Setting for Listeners {
    const EXPECTED: &'static str = "IP address and port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8080\", \
                                    \"systemd\", \"systemd:NAME\", or a list of them";
    const METAVAR: &'static str = "ADDRESS";
    const IS_LIST: bool = true;

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        let listens = text.split(',').map(|text| Listen::parse(text.trim()));
        let listens: Option<Vec<_>> = listens.collect();
        listens.map(Self).ok_or_else(|| Invalid::text(text))
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => Self::from_text(text, place),
            toml::Value::Array(items) if !items.is_empty() => {
                let mut listens = Vec::new();
                for item in items {
                    let text = item.as_str().ok_or_else(|| Invalid::found(item))?;
                    listens.push(Listen::parse(text).ok_or_else(|| Invalid::text(text))?);
                }
                Ok(Self(listens))
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
