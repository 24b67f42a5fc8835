//! Where a client is.
//!
//! Owns an address in 24 bytes, of which every connection has one: a [`SocketAddr`] takes 32, for the flow information
//! of IPv6, which says how a packet is routed and is zero in the address of a client.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemoteAddr {
    ip: IpAddr,
    port: u16,
    /// The interface of a link-local address; zero for any other.
    scope_id: u32,
}

impl From<SocketAddr> for RemoteAddr {
    fn from(addr: SocketAddr) -> Self {
        let scope_id = match addr {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(addr) => addr.scope_id(),
        };
        Self {
            ip: addr.ip(),
            port: addr.port(),
            scope_id,
        }
    }
}

impl From<RemoteAddr> for SocketAddr {
    fn from(addr: RemoteAddr) -> Self {
        match addr.ip {
            IpAddr::V4(ip) => (ip, addr.port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, addr.port, 0, addr.scope_id).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_was() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:443", "[fe80::1%7]:65535"] {
            let addr: SocketAddr = text.parse().expect("an address");
            assert_eq!(SocketAddr::from(RemoteAddr::from(addr)), addr);
        }
        assert!(size_of::<Option<RemoteAddr>>() <= 24);
    }
}
