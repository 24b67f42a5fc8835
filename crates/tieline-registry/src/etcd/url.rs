//! Parses `etcd://user:password@host1:port,host2:port`.
//!
//! Invariant: no error and no debug output shows a password.

use std::{fmt, str};

/// A parsed URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EtcdUrl {
    pub(super) tls: bool,
    /// `host:port`, at least one.
    pub(super) hosts: Vec<String>,
    pub(super) credentials: Option<Credentials>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

const FORM: &str = "write an etcd URL as etcd://host:port,host:port; put user:password@ before the hosts if \
                    etcd requires authentication, and use etcds:// for TLS";

impl EtcdUrl {
    /// The error says how to write the URL.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match url.split_once("://") {
            Some(("etcd", rest)) => (false, rest),
            Some(("etcds", rest)) => (true, rest),
            _ => return Err(FORM),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, hosts) = match rest.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(Credentials::parse(credentials)?), hosts),
            None => (None, rest),
        };
        Ok(Self {
            tls,
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            credentials,
        })
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "write user:password before the @ of an etcd URL, and percent-encode special \
                            characters in both";
        let (user, password) = text.split_once(':').ok_or(FORM)?;
        let user = decode(user).filter(|user| !user.is_empty()).ok_or(FORM)?;
        let password = decode(password).ok_or(FORM)?;
        Ok(Self { user, password })
    }
}

/// A host with its port; the default is 2379.
fn host(text: &str) -> Result<String, &'static str> {
    let bare = match text.rsplit_once(':') {
        Some((bare, port)) if !port.ends_with(']') => {
            port.parse::<u16>().map_err(|_| FORM)?;
            bare
        }
        _ => text,
    };
    let bracketed = bare.starts_with('[') && bare.ends_with(']');
    let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if bare.is_empty() || !(bracketed || bare.chars().all(named)) {
        return Err(FORM);
    }
    Ok(if bare.len() == text.len() {
        format!("{text}:2379")
    } else {
        text.to_owned()
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed() {
        let url = EtcdUrl::parse("etcds://me:p%40ss:w@a.test:1,b_2,[::1]:7,[::2]/").unwrap();
        assert!(url.tls);
        assert_eq!(url.hosts, ["a.test:1", "b_2:2379", "[::1]:7", "[::2]:2379"]);
        let credentials = url.credentials.unwrap();
        assert_eq!(
            (&*credentials.user, &*credentials.password),
            ("me", "p@ss:w")
        );
        assert!(!format!("{credentials:?}").contains("p@ss"));
        assert!(!EtcdUrl::parse("etcd://a").unwrap().tls);
    }

    #[test]
    fn invalid_urls_are_rejected() {
        for url in [
            "",
            "a:2379",
            "http://a:2379",
            "etcd://",
            "etcd://a,,b",
            "etcd://a:x",
            "etcd://a:99999",
            "etcd://a/path",
            "etcd://user@a",
            "etcd://:secret@a",
            "etcd://u:%zz@a",
            "etcd://::1",
        ] {
            assert!(EtcdUrl::parse(url).is_err(), "{url}");
        }
    }
}
