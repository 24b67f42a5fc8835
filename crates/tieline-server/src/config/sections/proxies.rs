//! The proxies that are believed when they say who their client is.

use tieline::{ForwardedHeader, Network, Proxies};

use crate::config::{
    option::{Invalid, Place, Setting},
    section::section,
    types::{choices, quoted},
};

/// What stands for all Unix sockets.
const UNIX: &str = "unix";

section! {
    /// Proxies and balancers that pass connections on.
    pub(crate) struct ProxyProtocol in "proxy_protocol" {
        from: Vec<ProxySource> = Vec::new(),
            "Networks whose connections begin with a header of the PROXY protocol, version 1 or 2, such as \
             \"10.0.0.0/8\"; \"unix\" for those of Unix sockets.",
            "One without a header is closed. From other networks, a header is refused.",
            flag: "proxy-protocol-from", metavar: "NETWORK", without: "none";
    }
}

section! {
    /// Proxies that pass requests on.
    pub(crate) struct Forwarded in "forwarded" {
        from: Vec<ProxySource> = Vec::new(),
            "Networks whose requests say in a header who the client is, such as \"10.0.0.0/8\"; \"unix\" for those of \
             Unix sockets.",
            "From other networks, the header is ignored: anybody can send it.",
            flag: "forwarded-from", metavar: "NETWORK", without: "none";
        header: HeaderName = HeaderName::XForwardedFor,
            "The header: \"x-forwarded-for\" or \"forwarded\".",
            "The proxies must add to it, or replace it. The other one is ignored: they pass it on as clients send it.",
            flag: "forwarded-header";
    }
}

choices! {
    /// The header that says who the client is.
    pub(crate) enum HeaderName {
        XForwardedFor = "x-forwarded-for",
        Forwarded = "forwarded",
    }
}

/// Where proxies connect from that are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxySource {
    Network(Network),
    /// Unix sockets, of which whoever may connect is believed.
    Unix,
}

impl Setting for ProxySource {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\", without bits after the prefix, an address, or \
                                    \"unix\"";
    const METAVAR: &'static str = "NETWORK";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let network = text.parse().map(Self::Network);
        network.map_err(|_| Invalid::text(text))
    }

    fn show(&self) -> String {
        match self {
            Self::Network(network) => quoted(&network.to_string()),
            Self::Unix => quoted(UNIX),
        }
    }
}

/// Who is believed.
pub(crate) fn proxies(protocol: &ProxyProtocol, forwarded: &Forwarded) -> Proxies {
    let mut proxies = Proxies::default();
    (proxies.proxy_protocol, proxies.proxy_protocol_unix) = networks(&protocol.from);
    (proxies.forwarded, proxies.forwarded_unix) = networks(&forwarded.from);
    proxies.forwarded_header = match forwarded.header {
        HeaderName::XForwardedFor => ForwardedHeader::XForwardedFor,
        HeaderName::Forwarded => ForwardedHeader::Forwarded,
    };
    proxies
}

/// The networks, and whether Unix sockets are among the sources.
fn networks(sources: &[ProxySource]) -> (Vec<Network>, bool) {
    let networks = sources.iter().filter_map(|source| match source {
        ProxySource::Network(network) => Some(*network),
        ProxySource::Unix => None,
    });
    (networks.collect(), sources.contains(&ProxySource::Unix))
}
