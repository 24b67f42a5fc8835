//! The URL of a registry, which may contain a password.
//!
//! Owns the check of its scheme. Must not know any registry: the library selects one by the scheme, and says which
//! there are.
//! Invariant: neither the text forms of a URL nor an error contain the password.

use std::fmt;

use tieline::registry::schemes;

use super::{
    option::{Invalid, Place, Setting},
    secret,
    types::quoted,
};

/// A registry's URL, which may contain a password. Its text forms leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RegistryUrl(String);

impl From<String> for RegistryUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

/// The URL has no scheme of a registry. The message does not quote it: it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("invalid --registry: {}", Self::use_one())]
pub(crate) struct InvalidRegistryUrl;

impl InvalidRegistryUrl {
    fn use_one() -> String {
        let schemes = schemes().collect::<Vec<_>>().join(", ");
        format!(
            "use a URL such as redis://127.0.0.1:6379 or etcd://127.0.0.1:2379, with one of the schemes {schemes}"
        )
    }
}

impl RegistryUrl {
    /// The URL itself, for whoever connects.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Checks the scheme.
    pub(crate) fn check(&self) -> Result<(), InvalidRegistryUrl> {
        let scheme = self.0.split_once("://").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| schemes().any(|known| known == scheme)) {
            return Ok(());
        }
        Err(InvalidRegistryUrl)
    }

    /// An error that names the registry and its cause, in one line and without the password.
    pub(crate) fn error(&self, cause: &anyhow::Error) -> anyhow::Error {
        let cause = self.hide_in(&format!("{cause:#}"));
        anyhow::anyhow!("cannot use the registry {self}: {cause}; check --registry")
    }

    /// What is between scheme and hosts: user and password.
    fn credentials(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.rsplit_once('@').map_or("", |(before, _)| before)
    }

    /// `text`, which may quote this URL, in one line and without the password.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        let text = text.replace(&self.0, &self.to_string());
        let password = self.credentials().split_once(':').map_or("", |(_, p)| p);
        let text = match password {
            "" => text,
            password => text.replace(password, "***"),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Without user, password and options.
impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        let hosts = hosts.split_once('?').map_or(hosts, |(hosts, _)| hosts);
        write!(f, "{scheme}://{hosts}")
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Setting for RegistryUrl {
    const EXPECTED: &'static str =
        "a URL such as \"redis://127.0.0.1:6379\", or { file = \"…\" } or { env = \"…\" }";
    const METAVAR: &'static str = "URL";
    const IS_SECRET: bool = true;

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        let url = Self(text.to_owned());
        match url.check() {
            Ok(()) => Ok(url),
            Err(InvalidRegistryUrl) => Err(Invalid::Other(InvalidRegistryUrl::use_one())),
        }
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::String(text) => Self::from_text(text, place),
            toml::Value::Table(table) => {
                Self::from_text(secret::referred(table, place)?.expose(), place)
            }
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://me:hun/ter2@h:1/0?x=hunter2", "rediss://h:1/0"),
            ("etcd://a:1,b:2", "etcd://a:1,b:2"),
        ] {
            let url = RegistryUrl(url.into());
            assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"));
        }
    }

    #[test]
    fn errors_do_not_quote_the_password() {
        let url = RegistryUrl("redis://:hunter2@h:1".into());
        let text = url.hide_in("cannot log in at redis://:hunter2@h:1\nwith \"hunter2\"");
        assert_eq!(text, "cannot log in at redis://h:1 with \"***\"");
        assert_eq!(RegistryUrl("redis://h:1".into()).hide_in("a b"), "a b");
    }

    #[test]
    fn the_scheme_selects_the_registry() {
        assert!(RegistryUrl("etcd://h:1".into()).check().is_ok());
        for url in ["", "localhost:6379", "http://h:1", "mysql://:hunter2@h"] {
            let text = RegistryUrl(url.into()).check().unwrap_err().to_string();
            assert!(
                text.contains("redis://") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
