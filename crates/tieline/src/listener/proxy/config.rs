//! The proxies that are believed.

use std::net::IpAddr;

use crate::listener::{network::Network, peer::Peer};

/// The proxies that are believed when they say who their client is. Nobody is by default.
///
/// ```
/// use tieline::{Listener, Proxies};
///
/// # async fn bind() -> Result<Listener, Box<dyn std::error::Error>> {
/// let mut proxies = Proxies::default();
/// proxies.proxy_protocol = vec!["10.0.0.0/8".parse()?];
/// let listener = Listener::bind("0.0.0.0:8080").await?.proxies(proxies);
/// # Ok(listener)
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxies {
    /// Networks from which each connection must begin with a header of the PROXY protocol, version 1 or 2; one
    /// without it is closed. From elsewhere, such a header is no HTTP, and refused.
    pub proxy_protocol: Vec<Network>,
    /// Networks of proxies whose `forwarded_header` is believed. If all addresses in it are of these networks, the
    /// first one is the client's.
    pub forwarded: Vec<Network>,
    /// Whether each connection of a [Unix socket](crate::Listener::from_unix) must begin with such a header.
    pub proxy_protocol_unix: bool,
    /// Whether `forwarded_header` is believed in requests over a Unix socket: whoever may connect to it can claim any
    /// address.
    pub forwarded_unix: bool,
    /// The header that these proxies add the client's address to. Only one: a proxy passes the other one on as its
    /// client has sent it.
    pub forwarded_header: ForwardedHeader,
}

/// A header that names clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), by its parameter `for`.
    Forwarded,
}

impl Proxies {
    /// Whether a connection of this peer begins with a header.
    pub(in crate::listener) fn announces(&self, peer: Peer) -> bool {
        match peer {
            Peer::Address(address) => lists(&self.proxy_protocol, address.ip()),
            Peer::Unix => self.proxy_protocol_unix,
            Peer::Unknown => false,
        }
    }

    /// Whether the requests of this peer are those of others.
    pub(in crate::listener) fn forwards(&self, peer: Peer) -> bool {
        match peer {
            Peer::Address(address) => self.forwards_from(address.ip()),
            Peer::Unix => self.forwarded_unix,
            Peer::Unknown => false,
        }
    }

    /// Whether this address is one whose requests are those of others.
    pub(in crate::listener) fn forwards_from(&self, address: IpAddr) -> bool {
        lists(&self.forwarded, address)
    }
}

fn lists(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}
