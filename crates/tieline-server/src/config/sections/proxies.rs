//! The proxies that are believed when they say who their client is.

use tieline::{ForwardedHeader, Network, Proxies};

use crate::config::{section::section, types::choices};

section! {
    /// Proxies and balancers that pass connections on.
    pub(crate) struct ProxyProtocol in "proxy_protocol" {
        from: Vec<Network> = Vec::new(),
            "Networks whose connections begin with a header of the PROXY protocol, version 1 or 2, such as \
             \"10.0.0.0/8\".",
            "One without a header is closed. From other networks, a header is refused.",
            flag: "proxy-protocol-from", metavar: "NETWORK", without: "none";
    }
}

section! {
    /// Proxies that pass requests on.
    pub(crate) struct Forwarded in "forwarded" {
        from: Vec<Network> = Vec::new(),
            "Networks whose requests say in a header who the client is, such as \"10.0.0.0/8\".",
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

/// Who is believed.
pub(crate) fn proxies(protocol: &ProxyProtocol, forwarded: &Forwarded) -> Proxies {
    let mut proxies = Proxies::default();
    proxies.proxy_protocol.clone_from(&protocol.from);
    proxies.forwarded.clone_from(&forwarded.from);
    proxies.forwarded_header = match forwarded.header {
        HeaderName::XForwardedFor => ForwardedHeader::XForwardedFor,
        HeaderName::Forwarded => ForwardedHeader::Forwarded,
    };
    proxies
}
