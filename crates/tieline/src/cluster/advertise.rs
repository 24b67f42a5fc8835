//! The address that a node advertises to its peers.
//!
//! Must not know the rest of the settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The default for a port that listens on `bound`: that address, or, if it means all addresses, this
/// machine's first IPv4 address that is not loopback. `None` if there is none.
pub(super) fn choose(bound: SocketAddr) -> Option<String> {
    let ip = if bound.ip().is_unspecified() {
        first_address()?
    } else {
        bound.ip()
    };
    Some(SocketAddr::new(ip, bound.port()).to_string())
}

fn first_address() -> Option<IpAddr> {
    let addresses = if_addrs::get_if_addrs().ok()?;
    let mut ips = addresses.into_iter().map(|interface| interface.ip());
    ips.find(|ip| matches!(ip, IpAddr::V4(v4) if !v4.is_loopback() && *v4 != Ipv4Addr::UNSPECIFIED))
}

/// Whether peers could dial an address: `host:port`, with a port and not for all addresses.
pub(super) fn is_valid(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    let has_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    let unspecified = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_unspecified());
    is_host && has_port && !unspecified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_can_dial_are_refused() {
        for good in ["10.0.0.1:9300", "[::1]:9300", "node-1.example:9300"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1:",
            "10.0.0.1:0",
            "0.0.0.0:9300",
            "[::]:1",
            ":9300",
            "a b:1",
            "http://a:1",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_bound_address_is_advertised_as_it_is() {
        assert_eq!(
            choose("127.0.0.1:9300".parse().unwrap()).unwrap(),
            "127.0.0.1:9300"
        );
    }
}
