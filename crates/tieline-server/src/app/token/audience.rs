//! What a token is for: the URL in its audience (`aud`).
//!
//! Owns how that URL is compared with a request. The server does not know the URL by which a client reached
//! it, because proxies change scheme, host and port. So the path is always compared, and the rest only with
//! the endpoints that the operator lists. Must not know signatures. Invariant: two paths are equal only if
//! they lead to the same operation; an encoded slash is not a slash.

use std::{borrow::Cow, str::FromStr};

use percent_encoding::percent_decode_str;

use super::error::TokenError;

/// A URL under which clients reach the server, such as `https://example.org` or
/// `https://example.org/tieline`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    is_tls: bool,
    /// Host and port, in lower case and without the default port.
    host: String,
    /// The path before that of the server, which a proxy removes: empty, or with a slash first and none last.
    prefix: String,
}

impl Endpoint {
    /// The URL of a path, with the scheme for HTTP.
    pub(crate) fn http(&self, path: &str) -> String {
        self.url("http", path)
    }

    /// The URL of a path, with the scheme for WebSockets.
    pub(crate) fn websocket(&self, path: &str) -> String {
        self.url("ws", path)
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        let Self { host, prefix, .. } = self;
        let s = if self.is_tls { "s" } else { "" };
        format!("{scheme}{s}://{host}{prefix}{path}")
    }

    /// The path of an audience, below this endpoint; `None` if it is not below it.
    fn path_of<'a>(&self, url: &Url<'a>) -> Option<&'a str> {
        let same = url.is_tls()? == self.is_tls && url.host() == self.host;
        same.then(|| url.path.strip_prefix(&*self.prefix))?
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).filter(|url| !url.authority.is_empty() && !url.has_query);
        let parsed = url.and_then(|url| {
            Some(Self {
                is_tls: url.is_tls()?,
                host: url.host(),
                prefix: url.path.trim_end_matches('/').to_owned(),
            })
        });
        parsed.ok_or_else(|| {
            "expected http:// or https:// and a host, such as https://example.org".into()
        })
    }
}

/// The parts of an absolute URL that are compared.
struct Url<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    has_query: bool,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let path = rest[..end].find('/').unwrap_or(end);
        Some(Self {
            scheme,
            authority: &rest[..path],
            path: &rest[path..end],
            has_query: end < rest.len(),
        })
    }

    fn is_tls(&self) -> Option<bool> {
        let is = |scheme| self.scheme.eq_ignore_ascii_case(scheme);
        (is("https") || is("http")).then(|| is("https"))
    }

    fn host(&self) -> String {
        let default_port = if self.is_tls() == Some(true) {
            ":443"
        } else {
            ":80"
        };
        let host = self.authority.to_ascii_lowercase();
        host.strip_suffix(default_port)
            .map_or(host.clone(), str::to_owned)
    }
}

/// Whether one of the audiences is this path, at one of the endpoints if there are any.
pub(super) fn check(
    audiences: &[String],
    path: &str,
    endpoints: &[Endpoint],
) -> Result<(), TokenError> {
    let mut refusal = TokenError::Audience;
    for audience in audiences {
        let Some(url) = Url::parse(audience) else {
            continue;
        };
        let mut below = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.path_of(&url));
        if endpoints.is_empty() && is_same(url.path, path)
            || below.any(|below| is_same(below, path))
        {
            return Ok(());
        }
        if is_same(url.path, path) {
            refusal = TokenError::Endpoint;
        }
    }
    Err(refusal)
}

/// Whether two paths are the same, in whichever way their characters are encoded, and with or without a
/// slash at the end. The name of the hub, in `/client/hubs/chat` and `/api/hubs/chat`, has no case.
fn is_same(one: &str, other: &str) -> bool {
    const HUB: usize = 3;
    if one == other {
        // As SDKs write it, who take the URL of the request.
        return true;
    }
    let (one, other) = (segments(one), segments(other));
    one.clone().count() == other.clone().count()
        && one
            .zip(other)
            .enumerate()
            .all(|(at, (one, other))| one == other || at == HUB && one.eq_ignore_ascii_case(&other))
}

/// Split before they are decoded, so that `a%2Fb` is one name.
fn segments(path: &str) -> impl Iterator<Item = Cow<'_, [u8]>> + Clone {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .map(|segment| percent_decode_str(segment).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(audience: &str, path: &str, endpoints: &[&str]) -> Result<(), TokenError> {
        let endpoints: Vec<_> = endpoints.iter().map(|e| e.parse().unwrap()).collect();
        check(&[audience.to_owned()], path, &endpoints)
    }

    #[test]
    fn the_path_decides_however_it_is_encoded() {
        for (audience, path) in [
            ("http://h/client/hubs/chat", "/client/hubs/chat"),
            ("https://other:8443/client/hubs/Chat", "/client/hubs/chat"),
            ("http://h/client/hubs/chat/?a=b", "/client/hubs/chat"),
            ("http://h/client/hubs/ch%61t#x", "/client/hubs/chat"),
            (
                "http://h/api/hubs/chat/:send?api-version=1",
                "/api/hubs/chat/:send",
            ),
            ("http://h/api/hubs/chat/:send", "/api/hubs/chat/%3Asend"),
            (
                "http://h/api/hubs/chat/users/a+b@c:d",
                "/api/hubs/chat/users/a%2Bb%40c%3Ad",
            ),
            (
                "http://h/api/hubs/chat/users/a%2fb",
                "/api/hubs/chat/users/a%2Fb",
            ),
            (
                "http://h/api/hubs/chat/users/%C3%A9",
                "/api/hubs/chat/users/é",
            ),
        ] {
            assert_eq!(checked(audience, path, &[]), Ok(()), "{audience} {path}");
        }
    }

    #[test]
    fn another_path_is_refused() {
        for (audience, path) in [
            ("http://h/client/hubs/other", "/client/hubs/chat"),
            ("http://h/client/hubs/cha", "/client/hubs/chat"),
            ("http://h/client/hubs/chat", "/api/hubs/chat"),
            ("http://h/client/hubs/chat", "/api/hubs/chat/:send"),
            ("http://h/api/hubs/chat/:send", "/client/hubs/chat"),
            ("http://h/", "/client/hubs/chat"),
            ("http://h", "/client/hubs/chat"),
            ("http://h?/client/hubs/chat", "/client/hubs/chat"),
            ("/client/hubs/chat", "/client/hubs/chat"),
            ("chat", "/client/hubs/chat"),
            ("", "/client/hubs/chat"),
            ("http://h/base/client/hubs/chat", "/client/hubs/chat"),
            // A slash in a name is not one between names.
            (
                "http://h/api/hubs/chat/groups/g%2Fconnections%2Fc",
                "/api/hubs/chat/groups/g/connections/c",
            ),
            // Only the hub has no case.
            (
                "http://h/api/hubs/chat/users/Ada",
                "/api/hubs/chat/users/ada",
            ),
            (
                "http://h/api/hubs/chat/groups/hubs/X",
                "/api/hubs/chat/groups/hubs/x",
            ),
            // Decoded once.
            (
                "http://h/api/hubs/chat/users/a%252Fb",
                "/api/hubs/chat/users/a%2Fb",
            ),
        ] {
            assert_eq!(
                checked(audience, path, &[]),
                Err(TokenError::Audience),
                "{audience} {path}"
            );
        }
    }

    #[test]
    fn one_of_several_audiences_is_enough() {
        let audiences = [
            "x",
            "http://h/client/hubs/other",
            "http://h/client/hubs/chat",
        ];
        let audiences = audiences.map(str::to_owned);
        assert_eq!(check(&audiences, "/client/hubs/chat", &[]), Ok(()));
        assert_eq!(
            check(&[], "/client/hubs/chat", &[]),
            Err(TokenError::Audience)
        );
    }

    #[test]
    fn scheme_and_host_are_those_of_a_public_endpoint_if_there_are_any() {
        let endpoints = [
            "https://Example.org",
            "http://10.0.0.1:8080/",
            "https://example.net/base/",
        ];
        let path = "/client/hubs/chat";
        for audience in [
            "HTTPS://EXAMPLE.ORG/client/hubs/chat",
            "https://example.org:443/client/hubs/chat",
            "http://10.0.0.1:8080/client/hubs/chat",
            "https://example.net/base/client/hubs/chat",
        ] {
            assert_eq!(checked(audience, path, &endpoints), Ok(()), "{audience}");
        }
        for audience in [
            "http://example.org/client/hubs/chat",
            "https://example.org:8443/client/hubs/chat",
            "https://example.org.evil.example/client/hubs/chat",
            "https://example.org@evil.example/client/hubs/chat",
            "https://example.net/client/hubs/chat",
        ] {
            assert_eq!(
                checked(audience, path, &endpoints),
                Err(TokenError::Endpoint),
                "{audience}"
            );
        }
        for audience in [
            "https://example.net/basement/client/hubs/chat",
            "https://example.org/client/hubs/other",
        ] {
            assert_eq!(
                checked(audience, path, &endpoints),
                Err(TokenError::Audience),
                "{audience}"
            );
        }
    }

    #[test]
    fn an_endpoint_is_a_url_without_a_query() {
        let endpoint: Endpoint = "https://Example.org:443/base/".parse().unwrap();
        assert_eq!(endpoint.http("/x"), "https://example.org/base/x");
        assert_eq!(endpoint.websocket("/x"), "wss://example.org/base/x");
        for text in [
            "",
            "example.org",
            "ws://example.org",
            "https://",
            "https://h/?a",
            "https:///a",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
