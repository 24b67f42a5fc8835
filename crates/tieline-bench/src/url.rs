//! WebSocket URLs: `ws://host:port/path?query` and `wss://…`.
//!
//! Owns their syntax, the resolution of hosts, and the removal of secrets from URLs that are shown. Must
//! not connect, nor know placeholders.

use std::{
    collections::HashMap,
    net::{SocketAddr, ToSocketAddrs},
};

/// A query parameter whose name contains one of these is a secret.
const SECRETS: [&str; 4] = ["token", "key", "secret", "password"];

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    /// Host and port, as in the URL.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
}

/// A text is not a WebSocket URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a WebSocket URL; write ws://host:port/path or wss://host/path")]
pub struct UrlError(String);

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let refuse = || UrlError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            _ => return Err(refuse()),
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
        let url = Url::parse("ws://127.0.0.1:9201/ws?id=client-1").unwrap();
        assert_eq!((url.tls, url.target.as_str()), (false, "/ws?id=client-1"));
        assert_eq!((url.host(), url.port()), ("127.0.0.1", Some(9201)));
        let url = Url::parse("wss://[::1]?a").unwrap();
        assert_eq!((url.tls, url.target.as_str()), (true, "/?a"));
        assert_eq!((url.host(), url.port()), ("::1", Some(443)));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["http://a/", "127.0.0.1:80", "ws:///x", "ws://a/b c"] {
            assert!(Url::parse(text).is_err(), "{text}");
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
        let url = Url::parse("ws://127.0.0.1:9201/").unwrap();
        assert_eq!(
            resolver.resolve(&url),
            Ok("127.0.0.1:9201".parse().unwrap())
        );
        let url = Url::parse("ws://127.0.0.1:x/").unwrap();
        assert!(resolver.resolve(&url).is_err());
    }
}
