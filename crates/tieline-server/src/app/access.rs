//! Which anonymous clients may connect.
//!
//! Decides by the `Host` header alone, with the settings of the moment: a reload replaces them. Must not
//! know the address to listen on, which `cli` checks, nor the response to a client that may not connect,
//! which is up to the wire.

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;

use crate::config::sections::hub::{Anonymous, HubSettings};

/// Who may connect to a hub. Clones share the settings.
#[derive(Debug, Clone)]
pub(crate) struct HubAccess(Arc<ArcSwap<HubSettings>>);

impl HubAccess {
    pub(crate) fn new(settings: HubSettings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// Applies other settings to the clients that connect from now on.
    pub(crate) fn replace(&self, settings: HubSettings) {
        self.0.store(Arc::new(settings));
    }

    /// Whether an anonymous client, which chooses its own user name, may connect with this `Host` header.
    ///
    /// A page of another site whose name was rebound to this machine sends that site's name, and so does a
    /// proxy that forwards requests from elsewhere.
    pub(crate) fn allows(&self, host: &str) -> bool {
        match self.0.load().anonymous {
            Anonymous::Never => false,
            Anonymous::Loopback => is_loopback(host),
            Anonymous::Anyone => true,
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

    fn allows(anonymous: Anonymous, host: &str) -> bool {
        let origins = Vec::new();
        HubAccess::new(HubSettings { anonymous, origins }).allows(host)
    }

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
            assert!(allows(Anonymous::Loopback, host), "{host}");
            assert!(!allows(Anonymous::Never, host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!allows(Anonymous::Loopback, host), "{host}");
            assert!(allows(Anonymous::Anyone, host), "{host}");
        }
    }
}
