//! The address at which peers reach this node, where none is given.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ClusterError;

/// The address to advertise for a port that listens on `bound`: that address where it is one, else
/// this machine's first IPv4 address that is not loopback.
pub(super) fn choose(bound: SocketAddr) -> Result<String, ClusterError> {
    let ip = if bound.ip().is_unspecified() {
        first_address().ok_or(ClusterError::NoAddress)?
    } else {
        bound.ip()
    };
    Ok(SocketAddr::new(ip, bound.port()).to_string())
}

fn first_address() -> Option<IpAddr> {
    let addresses = if_addrs::get_if_addrs().ok()?;
    let mut ips = addresses.into_iter().map(|interface| interface.ip());
    ips.find(|ip| matches!(ip, IpAddr::V4(v4) if !v4.is_loopback() && *v4 != Ipv4Addr::UNSPECIFIED))
}

/// Checks an address that was given: `host:port`, as it is to stand in the registry.
pub(super) fn check(address: &str) -> Result<(), ClusterError> {
    let wrong = || ClusterError::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host_is_one = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let unspecified = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_unspecified());
    if host_is_one && port != 0 && !unspecified {
        Ok(())
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_can_dial_are_refused() {
        for good in ["10.0.0.1:9300", "[::1]:9300", "node-1.example:9300"] {
            assert!(check(good).is_ok(), "{good}");
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
            assert!(check(bad).is_err(), "{bad}");
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
