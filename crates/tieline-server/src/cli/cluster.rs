//! The cluster of a node, as the settings have it.
//!
//! Owns what its options must satisfy together, and how errors of the library about them name options. Reads the files
//! that settings name. Must not connect to anything.

use tieline::{
    ClusterConfig, ClusterError, Config,
    registry::{self, RegistryConfigError, RegistryTls},
};

use super::error::cluster_error;
use crate::{
    config::{
        error::ConfigErrors,
        listen::{Listen, overlap},
        names,
        sections::admin::{AdminListen, AdminPlace},
        settings::Settings,
        values::Values,
    },
    supervisor::registry::RegistrySettings,
};

/// The options that protect the peer port.
const PROTECTIONS: [&str; 6] = [
    "cluster.secret",
    "cluster.plaintext",
    "cluster.tls_cert",
    "cluster.tls_key",
    "cluster.tls_ca",
    "cluster.listen",
];

/// The links between nodes.
pub(super) fn cluster(
    settings: &Settings,
    hub: &Config,
    values: &Values,
) -> Result<ClusterConfig, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    for problem in settings.cluster.bounds(hub).problems(hub) {
        match problem {
            ClusterError::Time { .. } | ClusterError::Places { .. } => {
                errors.add(names::settings_as_set(&problem.to_string(), values));
            }
            problem => drop(errors.take(Err::<(), _>(cluster_error(problem)))),
        }
    }
    if settings.cluster.registry.is_some() {
        check_port(settings, &mut errors);
    }
    let Some(config) = errors.take(settings.cluster.config(hub)) else {
        return Err(errors);
    };
    // What is refused may have been what protects the port.
    if !PROTECTIONS.iter().any(|place| values.has_refused(place)) {
        let safe = config.security.validate(config.listen);
        errors.take(safe.map_err(|error| cluster_error(error.into())));
    }
    errors.into_result(config)
}

/// The peer port is that of nobody else.
fn check_port(settings: &Settings, errors: &mut ConfigErrors) {
    let own = settings.cluster.listen;
    let mut of_clients = settings.general.listen.iter();
    let is_own =
        |listen: &Listen| matches!(listen, Listen::Address(address, _) if overlap(*address, own));
    if of_clients.any(is_own) {
        errors.add(format!(
            "{own} of --peers-listen is the address of clients, of --listen; give other nodes a port of their own"
        ));
    }
    if let Some(AdminListen::At(AdminPlace::Address(address))) = settings.admin.listen
        && overlap(address, own)
    {
        errors.add(format!(
            "{own} of --peers-listen is the address of operators, of --admin-listen; give other nodes a port of their \
             own"
        ));
    }
}

/// How the registry is reached; `None` for a node alone.
pub(super) fn registry(settings: &Settings) -> Result<Option<RegistrySettings>, ConfigErrors> {
    let own = &settings.cluster;
    let Some(url) = &own.registry else {
        return Ok(None);
    };
    let mut errors = ConfigErrors::default();
    let tls = errors.take(own.registry_tls());
    let is_read = tls.is_some();
    let tls: RegistryTls = tls.unwrap_or_default();
    for problem in registry::problems(url.expose(), &own.prefix, &tls) {
        match problem {
            RegistryConfigError::Url(why) => {
                errors.add(format!("invalid --registry: {}", url.hide_in(&why)));
            }
            RegistryConfigError::Prefix(why) => errors.add(format!("invalid --prefix: {why}")),
            // What could not be read is not there.
            RegistryConfigError::Tls(_) if !is_read => {}
            problem => errors.add(format!(
                "{problem}; check --registry-ca, --registry-cert, --registry-key and --registry"
            )),
        }
    }
    errors.into_result(Some(RegistrySettings {
        url: url.clone(),
        prefix: own.prefix.clone(),
        tls,
    }))
}
