//! The layers of a command: its file, the environment, its flags; and what they must satisfy.
//!
//! Owns the checks that need more than one option, those of the library among them. Must not start
//! anything. Invariant: what passes here can be started, as far as can be known before.

use std::net::SocketAddr;

use clap::Args;
use tieline::{ClusterConfig, ClusterError, Config};

use super::error::cluster_error;
use crate::{
    app::{
        access::{Access, LiveAccess},
        jwks::{Issuer, IssuerSettings},
        key::{AccessKey, AccessKeys},
        namespace::Namespace,
        role::Roles,
        token::verify::Verifier,
    },
    config::{
        error::ConfigErrors,
        names,
        secret::Secret,
        sections::{
            hub::{Anonymous, HubSettings},
            issuers::IssuerTable,
        },
        settings::{Layers, Settings},
        source,
        values::Values,
    },
    supervisor::{node::ClientSettings, registry::RegistrySettings, serve::ServeSettings},
    wire::aws::key_pair::{KeyPair, LiveKeyPair},
};

/// The hub of a node. It is no option: once a node has many, clients name theirs.
#[derive(Debug, Clone, Args)]
pub(crate) struct HubFlag {
    /// Name of the hub, the last part of the URL that clients connect to
    #[arg(
        long,
        value_name = "NAME",
        default_value = "chat",
        env = "TIELINE_HUB",
        help_heading = "Clients"
    )]
    pub(super) hub: Namespace,
}

/// A configuration that has been checked.
pub(crate) struct Checked {
    pub(crate) settings: Settings,
    pub(crate) values: Values,
    pub(crate) serve: ServeSettings,
}

/// Reads the layers and checks everything.
pub(crate) fn check(layers: &Layers, hub: &Namespace) -> anyhow::Result<Checked> {
    let (settings, mut values) = layers.load(&source::environment())?;
    values.warnings.extend(without_effect(&settings, hub));
    let serve = serve_settings(&settings, hub, &values).map_err(|error| as_set(error, &values))?;
    Ok(Checked {
        settings,
        values,
        serve,
    })
}

/// Tables of hubs that are not served.
fn without_effect(settings: &Settings, hub: &Namespace) -> impl Iterator<Item = String> {
    let others = settings.listed_hubs().filter(|name| !hub.is_named(name));
    others.map(move |name| {
        format!("[hub.{name}] has no effect: the hub that is served is {hub}, see --hub")
    })
}

/// An error, with options named as they were set.
pub(super) fn as_set(error: anyhow::Error, values: &Values) -> anyhow::Error {
    let text = format!("{error:#}");
    let named = names::flags_as_set(&text, values);
    match error.downcast::<ConfigErrors>() {
        Ok(_) => ConfigErrors::one(named).into(),
        Err(error) if named == text => error,
        Err(_) => anyhow::anyhow!(named),
    }
}

fn serve_settings(
    settings: &Settings,
    hub: &Namespace,
    values: &Values,
) -> anyhow::Result<ServeSettings> {
    if !settings.has_hub(hub.as_str()) {
        let text = format!(
            "the hub {hub} has no table of its own, and `only_listed_hubs` is true: add [hub.{hub}]"
        );
        return Err(ConfigErrors::one(text).into());
    }
    let of_hub = settings.hub(hub.as_str());
    let config = settings.limits.config(&settings.times, of_hub.origins());
    config.validate().map_err(|error| invalid(&error, values))?;
    let verifier = verifier(settings)?;
    Ok(ServeSettings {
        listen: check_listen(
            settings.general.listen,
            anonymous(of_hub, verifier.is_some()),
        )?,
        aws: LiveKeyPair::new(aws_key_pair(settings)?),
        tls: settings.tls.read_files()?,
        registry: registry(settings)?,
        cluster: cluster(settings, &config, values)?,
        clients: ClientSettings {
            hub: hub.clone(),
            access: access(of_hub, verifier),
        },
        config,
        drain_delay: settings.times.drain_delay,
        upstream: None,
    })
}

fn cluster(settings: &Settings, hub: &Config, values: &Values) -> anyhow::Result<ClusterConfig> {
    let config = settings.cluster.config(hub)?;
    config.validate(hub).map_err(|error| match error {
        ClusterError::Time { .. } | ClusterError::Places { .. } => invalid(&error, values).into(),
        error => cluster_error(error),
    })?;
    let safe = config.security.validate(config.listen);
    safe.map_err(|error| cluster_error(error.into()))?;
    Ok(config)
}

/// What the library says of its configuration.
fn invalid(error: &impl ToString, values: &Values) -> ConfigErrors {
    ConfigErrors::one(names::settings_as_set(&error.to_string(), values))
}

/// Who may connect to a hub.
pub(super) fn access(hub: &HubSettings, verifier: Option<Verifier>) -> LiveAccess {
    let roles = Roles::parse(&hub.anonymous_roles);
    LiveAccess::new(Access::new(
        anonymous(hub, verifier.is_some()),
        roles,
        verifier,
    ))
}

/// Who may connect without a token. If there are tokens, nobody unless said so: a proxy on this machine may send
/// its own loopback address as the host of every request.
pub(super) fn anonymous(hub: &HubSettings, has_tokens: bool) -> Anonymous {
    let default = if has_tokens {
        Anonymous::Never
    } else {
        Anonymous::Loopback
    };
    hub.anonymous.unwrap_or(default)
}

/// The keys that sign, if there are any.
pub(super) fn access_keys(settings: &Settings) -> anyhow::Result<Option<AccessKeys>> {
    let secondary = settings.keys.secondary.as_ref();
    let secondary = secondary.map(|key| access_key(key, "--secondary-key-file"));
    Ok(match (primary_key(settings)?, secondary.transpose()?) {
        (Some(primary), secondary) => Some(AccessKeys { primary, secondary }),
        (None, None) => None,
        (None, Some(_)) => {
            let text = "--secondary-key-file needs a primary key, from --key-file";
            return Err(ConfigErrors::one(text).into());
        }
    })
}

/// What verifies tokens; `None` if there is neither a key nor an issuer. Reads the key sets.
fn verifier(settings: &Settings) -> anyhow::Result<Option<Verifier>> {
    let endpoints = settings.general.public_endpoints.iter().map(|text| {
        let invalid = |why| ConfigErrors::one(format!("invalid --public-endpoint: {why}"));
        text.parse().map_err(invalid)
    });
    let endpoints = endpoints.collect::<Result<_, _>>()?;
    let keys = access_keys(settings)?;
    let issuers = settings.issuers.iter().enumerate();
    let issuers = issuers.map(|(index, table)| issuer(index, table));
    let issuers = issuers.collect::<anyhow::Result<Vec<_>>>()?;
    if keys.is_none() && issuers.is_empty() {
        return Ok(None);
    }
    Ok(Some(Verifier::new(keys.as_ref(), issuers, endpoints)))
}

/// What signs the requests of backends that were written for AWS.
fn aws_key_pair(settings: &Settings) -> Result<Option<KeyPair>, ConfigErrors> {
    KeyPair::of(&settings.aws).map_err(|error| ConfigErrors::one(error.to_string()))
}

/// The key that signs.
pub(super) fn primary_key(settings: &Settings) -> Result<Option<AccessKey>, ConfigErrors> {
    let key = settings.keys.primary.as_ref();
    key.map(|key| access_key(key, "--key-file")).transpose()
}

/// The first line of a secret: what other programs keep may have more.
fn access_key(secret: &Secret, flag: &str) -> Result<AccessKey, ConfigErrors> {
    let line = secret.expose().lines().next().unwrap_or_default();
    AccessKey::new(line.trim())
        .map_err(|error| ConfigErrors::one(format!("invalid {flag}: {error}")))
}

fn issuer(index: usize, table: &IssuerTable) -> anyhow::Result<Issuer> {
    let (Some(issuer), Some(keys), false) =
        (&table.issuer, &table.jwks, table.algorithms.is_empty())
    else {
        let text = format!("`issuers[{index}]` needs `issuer`, `jwks` and `algorithms`");
        return Err(ConfigErrors::one(text).into());
    };
    Ok(Issuer::open(IssuerSettings {
        issuer: issuer.clone(),
        keys: keys.clone(),
        algorithms: table.algorithms.clone(),
        audience: table.audience.clone(),
    })?)
}

pub(super) fn registry(settings: &Settings) -> anyhow::Result<Option<RegistrySettings>> {
    let Some(url) = &settings.cluster.registry else {
        return Ok(None);
    };
    Ok(Some(RegistrySettings {
        url: url.clone(),
        prefix: settings.cluster.prefix.clone(),
        tls: settings.cluster.registry_tls()?,
    }))
}

/// The address, unless anonymous clients could reach it from other machines against the operator's
/// intention.
pub(super) fn check_listen(
    address: SocketAddr,
    anonymous: Anonymous,
) -> Result<SocketAddr, ConfigErrors> {
    if anonymous != Anonymous::Loopback || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(ConfigErrors::one(format!(
        "refusing to listen on {address}: clients could impersonate anyone; use 127.0.0.1, an access key (--key-file) or --anonymous"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_requires_explicit_anonymous_access() {
        let public = "0.0.0.0:8080".parse().unwrap();
        let loopback = "[::1]:8080".parse().unwrap();
        assert!(check_listen(public, Anonymous::Loopback).is_err());
        assert_eq!(check_listen(loopback, Anonymous::Loopback), Ok(loopback));
        assert_eq!(check_listen(public, Anonymous::Anyone), Ok(public));
        assert_eq!(check_listen(public, Anonymous::Never), Ok(public));
    }
}
