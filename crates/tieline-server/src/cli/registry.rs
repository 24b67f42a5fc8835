//! Which registry: the flags, and a URL that keeps its password to itself.

use std::{fmt, path::PathBuf};

use anyhow::Context;
use clap::{Args, builder::NonEmptyStringValueParser};

use tieline::registry::RegistryTls;

use crate::Usage;

/// Where the cluster remembers which client is where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct RegistryFlags {
    /// Registry that the cluster's nodes share, as redis://HOST:6379 or etcd://HOST:2379; where it
    /// has a password, use the variable [default: none, nobody else joins]
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_REGISTRY",
        hide_env_values = true
    )]
    pub(crate) registry: Option<RegistryUrl>,
    /// Name of the cluster in the registry, the same on all of its nodes
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tieline",
        value_parser = NonEmptyStringValueParser::new(),
        requires = "registry",
        env = "TIELINE_PREFIX"
    )]
    pub(crate) prefix: String,
    /// Authority that signed the registry's certificate (PEM), for rediss:// and etcds:// [default: the
    /// system's; etcds:// needs one]
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry",
        env = "TIELINE_REGISTRY_CA"
    )]
    registry_ca: Option<PathBuf>,
    /// Certificate chain that this node shows to the registry, leaf first (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["registry", "registry_key"],
        env = "TIELINE_REGISTRY_CERT")]
    registry_cert: Option<PathBuf>,
    /// Private key of that certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry_cert",
        env = "TIELINE_REGISTRY_KEY"
    )]
    registry_key: Option<PathBuf>,
}

impl RegistryFlags {
    /// The registry's URL, if it is one and there is one.
    pub(crate) fn url(&self) -> Result<Option<&RegistryUrl>, Usage> {
        self.registry.as_ref().map(RegistryUrl::check).transpose()
    }

    /// The certificates that the files hold.
    pub(crate) fn tls(&self) -> anyhow::Result<RegistryTls> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let client = match (&self.registry_cert, &self.registry_key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            _ => None,
        };
        let authority = self.registry_ca.as_ref().map(read).transpose()?;
        Ok(RegistryTls { authority, client })
    }
}

/// A registry's URL, which may hold a password. Checked late: what the command line's parser refuses
/// it prints.
#[derive(Clone)]
pub(crate) struct RegistryUrl(String);

impl From<String> for RegistryUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl RegistryUrl {
    const SCHEMES: [&str; 8] = [
        "redis",
        "rediss",
        "redis+sentinel",
        "rediss+sentinel",
        "redis+cluster",
        "rediss+cluster",
        "etcd",
        "etcds",
    ];

    pub(crate) fn check(&self) -> Result<&Self, Usage> {
        let scheme = self.0.split_once("://").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| Self::SCHEMES.contains(&scheme)) {
            return Ok(self);
        }
        let known = Self::SCHEMES.join(", ");
        Err(Usage(format!(
            "--registry must be a URL, as redis://127.0.0.1:6379 or etcd://127.0.0.1:2379; it may begin \
             with {known}"
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything between scheme and hosts: user and password.
    fn credentials(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.rsplit_once('@').map_or("", |(before, _)| before)
    }

    /// A text that may quote this URL, in one line and without the password.
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
        let said = url.hide_in("cannot log in at redis://:hunter2@h:1\nwith \"hunter2\"");
        assert_eq!(said, "cannot log in at redis://h:1 with \"***\"");
        assert_eq!(RegistryUrl("redis://h:1".into()).hide_in("a b"), "a b");
    }

    #[test]
    fn a_registry_goes_by_its_scheme() {
        assert!(RegistryUrl("etcd://h:1".into()).check().is_ok());
        for url in ["", "localhost:6379", "http://h:1", "mysql://:hunter2@h"] {
            let said = RegistryUrl(url.into()).check().unwrap_err().to_string();
            assert!(
                said.contains("redis://") && !said.contains("hunter2"),
                "{said}"
            );
        }
    }
}
