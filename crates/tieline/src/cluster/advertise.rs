//! The address that a node advertises to its peers.
//!
//! Must not know the rest of the settings.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The default for a port that listens on `bound`: that address, or, if it means all addresses, one of this
/// machine's that others may reach. `None` if there is none.
pub(super) fn choose(bound: SocketAddr) -> Option<String> {
    let ip = match bound.ip() {
        ip if ip.is_unspecified() => {
            let interfaces = if_addrs::get_if_addrs().ok()?.into_iter();
            first_reachable(ip.is_ipv6(), interfaces.map(|interface| interface.ip()))?
        }
        ip => ip,
    };
    Some(SocketAddr::new(ip, bound.port()).to_string())
}

/// The first IPv4 address that is not loopback. `[::]` listens on IPv6 too, so that without one the first IPv6
/// address serves that is valid on more than one link.
fn first_reachable(has_ipv6: bool, ips: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let mut first_v6 = None;
    for ip in ips.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()) {
        match ip {
            IpAddr::V4(_) => return Some(ip),
            IpAddr::V6(v6) if has_ipv6 && first_v6.is_none() && !v6.is_unicast_link_local() => {
                first_v6 = Some(ip);
            }
            IpAddr::V6(_) => {}
        }
    }
    first_v6
}

/// Whether peers could dial an address: `host:port`, with a port and not for all addresses.
pub(super) fn is_valid(address: &str) -> bool {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return !address.ip().is_unspecified() && address.port() != 0;
    }
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    // The dial takes the text before the first colon as the host, and resolves it.
    let is_part = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '[' | ']');
    let is_host = !host.is_empty() && !host.contains(is_part);
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What was meant by an IPv6 address with a port but without brackets, as `$(POD_IP):9300` yields it.
pub(super) fn with_brackets(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let host: Ipv6Addr = host.parse().ok()?;
    let spelled = format!("[{host}]:{port}");
    is_valid(&spelled).then_some(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_can_dial_are_refused() {
        for good in [
            "10.0.0.1:9300",
            "[::1]:9300",
            "[fd00::5]:9300",
            "node-1.example:9300",
        ] {
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
            "fd00::5:9300",
            "fd00::5",
            "[fd00::5]",
            "[fd00::5:9300",
            "[node]:9300",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn the_right_spelling_of_an_ipv6_address_is_known() {
        let spelled = with_brackets("fd00::5:9300").unwrap();
        assert_eq!(spelled, "[fd00::5]:9300");
        assert!(is_valid(&spelled));
        for unclear in ["fd00::5", "10.0.0.1:0", "node:9300", "::9300"] {
            assert_eq!(with_brackets(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn a_bound_address_is_advertised_as_it_is() {
        for address in ["127.0.0.1:9300", "[::1]:9300"] {
            assert_eq!(choose(address.parse().unwrap()).unwrap(), address);
        }
    }

    #[test]
    fn a_machine_without_ipv4_is_reached_by_ipv6() {
        let ips = |texts: &'static [&'static str]| texts.iter().map(|ip| ip.parse().unwrap());
        let v6 = &["127.0.0.1", "::1", "fe80::1", "fd00::5", "fd00::6"];
        let found = first_reachable(true, ips(v6)).unwrap();
        assert_eq!(found.to_string(), "fd00::5");
        assert_eq!(
            first_reachable(false, ips(v6)),
            None,
            "0.0.0.0 is IPv4 only"
        );
        let both = &["fd00::5", "10.0.0.1"];
        let found = first_reachable(true, ips(both)).unwrap();
        assert_eq!(found.to_string(), "10.0.0.1");
    }
}
