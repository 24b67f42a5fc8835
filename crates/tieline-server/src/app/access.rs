//! Which anonymous clients may connect.
//!
//! Decides by the `Host` header alone. Must not know the address to listen on, which `cli` checks, nor
//! the response to a client that may not connect, which is up to the wire.

use std::net::IpAddr;

/// From where anonymous clients, which choose their own user name, may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnonymousAccess {
    /// From everywhere.
    Anyone,
    /// Only under a loopback `Host`. A page of another site whose name was rebound to this machine
    /// sends that site's name, and so does a proxy that forwards requests from elsewhere.
    Loopback,
}

impl AnonymousAccess {
    /// Whether a request with this `Host` header may connect.
    pub(crate) fn allows(self, host: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Loopback => is_loopback(host),
        }
    }
}

/// Whether a `Host`, with or without a port, is a loopback name or address.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_access_needs_a_loopback_host() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(AnonymousAccess::Loopback.allows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!AnonymousAccess::Loopback.allows(host), "{host}");
            assert!(AnonymousAccess::Anyone.allows(host), "{host}");
        }
    }
}
