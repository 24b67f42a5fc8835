//! URLs of WebSockets and of requests: `ws://host:port/path?query` and `wss://…`, `http://…` and `https://…`.
//!
//! Owns their syntax, the resolution of hosts, and the removal of secrets from URLs that are shown. Must
//! not connect, nor know placeholders.

use std::{
    collections::HashMap,
    net::{SocketAddr, ToSocketAddrs},
};

/// A query parameter whose name contains one of these is a secret.
const SECRETS: [&str; 4] = ["token", "key", "secret", "password"];

/// What a URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// A WebSocket: `ws` or `wss`.
    WebSocket,
    /// Requests: `http` or `https`.
    Http,
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    /// Host and port, as in the URL.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
}

/// A text is not a URL of the kind that the load needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct UrlError {
    text: String,
    expected: &'static str,
}

impl Scheme {
    /// The scheme without TLS, and with it.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::WebSocket => ["ws", "wss"],
            Self::Http => ["http", "https"],
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::WebSocket => "a WebSocket URL; write ws://host:port/path or wss://host/path",
            Self::Http => "an HTTP URL; write http://host:port/path or https://host/path",
        }
    }
}

impl Url {
    pub(crate) fn parse(text: &str, kind: Scheme) -> Result<Self, UrlError> {
        let refuse = || UrlError {
            text: text.to_owned(),
            expected: kind.expected(),
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
        let is_name = |name: &&str| scheme.eq_ignore_ascii_case(name);
        let tls = match kind.names().iter().position(is_name) {
            Some(index) => index == 1,
            None => return Err(refuse()),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(cut);
        let odd = |c: char| c.is_ascii_control() || c == ' ';
        if authority.is_empty() || authority.contains('@') || rest.contains(odd) {
            return Err(refuse());
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            tls,
            authority: authority.to_owned(),
            target: format!("{slash}{target}"),
        })
    }

    /// The URL with the scheme for HTTP, as tokens name it; `path` follows the authority.
    pub(crate) fn http(&self, path: &str) -> String {
        let [plain, encrypted] = Scheme::Http.names();
        let scheme = if self.tls { encrypted } else { plain };
        format!("{scheme}://{}{path}", self.authority)
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The host without its port, and without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> Option<u16> {
        match self.authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
            _ if self.tls => Some(443),
            _ => Some(80),
        }
    }
}

/// The URL without query values that look like secrets.
pub(crate) fn redact(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRETS.iter().any(|secret| name.contains(secret))
    };
    let shown = |field| match str::split_once(field, '=') {
        Some((name, _)) if is_secret(name) => format!("{name}=…"),
        _ => field.to_owned(),
    };
    let fields: Vec<_> = query.split('&').map(shown).collect();
    format!("{path}?{}", fields.join("&"))
}

/// Several URLs without secrets, on one line.
pub(crate) fn redact_all(urls: &[String]) -> String {
    let urls: Vec<_> = urls.iter().map(|url| redact(url)).collect();
    urls.join(" ")
}

/// Resolves hosts, each once.
#[derive(Debug, Default)]
pub(crate) struct Resolver(HashMap<String, SocketAddr>);

impl Resolver {
    pub(crate) fn resolve(&mut self, url: &Url) -> Result<SocketAddr, String> {
        let authority = &url.authority;
        if let Some(address) = self.0.get(authority) {
            return Ok(*address);
        }
        let port = url
            .port()
            .ok_or_else(|| format!("{authority} has an invalid port"))?;
        let found = (url.host(), port).to_socket_addrs();
        let address = found
            .map_err(|e| format!("cannot resolve {authority}: {e}"))?
            .next()
            .ok_or_else(|| format!("{authority} has no address"))?;
        self.0.insert(authority.clone(), address);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed() {
        let url = Url::parse("ws://127.0.0.1:9201/ws?id=client-1", Scheme::WebSocket).unwrap();
        assert_eq!((url.tls, url.target.as_str()), (false, "/ws?id=client-1"));
        assert_eq!((url.host(), url.port()), ("127.0.0.1", Some(9201)));
        let url = Url::parse("wss://[::1]?a", Scheme::WebSocket).unwrap();
        assert_eq!((url.tls, url.target.as_str()), (true, "/?a"));
        assert_eq!((url.host(), url.port()), ("::1", Some(443)));
    }

    #[test]
    fn the_urls_of_requests_are_another_kind() {
        let url = Url::parse("HTTPS://h/api/x?v=1", Scheme::Http).unwrap();
        assert_eq!((url.tls, url.path()), (true, "/api/x"));
        assert_eq!(url.http(&url.target), "https://h/api/x?v=1");
        let error = Url::parse("ws://h/", Scheme::Http).unwrap_err().to_string();
        assert!(error.contains("http://host"), "{error}");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["http://a/", "127.0.0.1:80", "ws:///x", "ws://a/b c"] {
            assert!(Url::parse(text, Scheme::WebSocket).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_redacted() {
        let shown = redact("ws://h/x?id={id}&access_token=a.b=&API-Key=c&n=1");
        assert_eq!(shown, "ws://h/x?id={id}&access_token=…&API-Key=…&n=1");
        for plain in ["ws://h/token=1", "ws://h/?", "ws://h/?token"] {
            assert_eq!(redact(plain), plain);
        }
    }

    #[test]
    fn hosts_are_resolved() {
        let mut resolver = Resolver::default();
        let url = Url::parse("ws://127.0.0.1:9201/", Scheme::WebSocket).unwrap();
        assert_eq!(
            resolver.resolve(&url),
            Ok("127.0.0.1:9201".parse().unwrap())
        );
        let url = Url::parse("ws://127.0.0.1:x/", Scheme::WebSocket).unwrap();
        assert!(resolver.resolve(&url).is_err());
    }
}
