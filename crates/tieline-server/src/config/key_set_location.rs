//! Where a key set is: in a file, or behind a URL.
//!
//! Owns which URLs may be used. Must not know what is there. Invariant: no text form has the query.

use std::{fmt, net::IpAddr, path::PathBuf};

use http::Uri;

use super::{
    option::{Invalid, Place, Setting},
    types::quoted,
};

/// A file or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySetLocation {
    File(PathBuf),
    Url(KeySetUrl),
}

/// A URL with `https`, or one of this machine.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeySetUrl(Uri);

impl KeySetUrl {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |why: &str| Err(Invalid::Other(why.into()));
        let Ok(uri) = text.parse::<Uri>() else {
            return refuse("not a valid URL");
        };
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return refuse("a URL needs a host");
        };
        if authority.as_str().contains('@') {
            return refuse("a URL must not have a password");
        }
        if uri.scheme_str() != Some("https") && !is_loopback(host) {
            return refuse(
                "use https: whoever is on the way to another URL could replace the keys, and so sign tokens",
            );
        }
        Ok(Self(uri))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Without the query, which may have a secret.
impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Setting for KeySetLocation {
    const EXPECTED: &'static str = "a file, or a URL such as \"https://id.example/jwks.json\"";
    const METAVAR: &'static str = "FILE|URL";

    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let is_url = ["https://", "http://"].iter().any(|scheme| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if is_url {
            return KeySetUrl::parse(text).map(Self::Url);
        }
        PathBuf::from_text(text, place).map(Self::File)
    }

    fn show(&self) -> String {
        match self {
            Self::File(path) => path.show(),
            Self::Url(url) => quoted(&url.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_unless_from_this_machine() {
        for url in [
            "https://id.example/keys?code=hunter2",
            "HTTPS://id.example",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            let url = KeySetUrl::parse(url).unwrap_or_else(|why| panic!("{url}: {why:?}"));
            assert!(!format!("{url}{url:?}").contains("hunter2"));
        }
        for url in [
            "http://id.example/keys",
            "http://127.0.0.1.example/",
            "https://",
            "https://me:hunter2@id.example/",
            "https://id example/",
        ] {
            let why = KeySetUrl::parse(url).unwrap_err();
            assert!(!format!("{why:?}").contains("hunter2"), "{url}: {why:?}");
        }
    }
}
