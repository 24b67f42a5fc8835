//! The layers of a command: its file, the environment, its flags; and what they must satisfy.
//!
//! Owns the checks that need more than one option, those of the library among them. Must not start
//! anything. Invariant: what passes here can be started, as far as can be known before.

use std::{net::SocketAddr, sync::Arc};

use tieline::{ClusterConfig, ClusterError, Config};

use super::{
    error::cluster_error,
    keys::{access_keys, aws_key_pair, issuers, verifier},
    limits::check_limits,
    pusher::{apps, members},
    pusher_webhooks::webhooks as webhooks_of,
    upstream::handlers,
};
use crate::{
    admin::{
        AdminAccess,
        token::{AdminToken, LiveAdminToken},
    },
    app::{
        access::Access,
        certificate::CertificateUsers,
        hubs::{HubRules, LiveHubRules, SharedHubs},
        jwks::issuer::Issuers,
        key::AccessKeys,
        limits::HubLimits,
        role::Roles,
        token::verify::Verifier,
    },
    config::{
        error::ConfigErrors,
        listen::{Listen, Listeners},
        names,
        sections::{
            admin::{AdminListen, AdminPlace},
            hub::{Anonymous, HubSettings},
            limits::Limits,
            proxies::proxies,
        },
        settings::{Layers, Settings},
        source,
        types::Size,
        values::Values,
    },
    supervisor::{
        admin::AdminPortSettings, expiry, registry::RegistrySettings, serve::ServeSettings,
    },
    wire::{aws::key_pair::LiveKeyPair, pusher::app::LiveApps},
};

/// A configuration that has been checked.
pub(crate) struct Checked {
    pub(crate) settings: Settings,
    pub(crate) values: Values,
    pub(crate) serve: ServeSettings,
}

impl Checked {
    /// What may be wrong with it, and does not keep a node from starting.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.values.warnings.clone();
        warnings.extend(expiry::warnings(self.serve.certificates().expiries()));
        warnings
    }
}

/// Reads the layers and checks everything.
pub(crate) fn check(layers: &Layers) -> anyhow::Result<Checked> {
    let (settings, values) = layers.load(&source::environment())?;
    let serve = serve_settings(&settings, &values);
    let serve = serve.map_err(|errors| as_set(errors.into(), &values))?;
    Ok(Checked {
        settings,
        values,
        serve,
    })
}

/// An error, with options named as they were set.
pub(super) fn as_set(error: anyhow::Error, values: &Values) -> anyhow::Error {
    let named = |text: &str| names::flags_as_set(text, values);
    match error.downcast::<ConfigErrors>() {
        Ok(errors) => errors.map(named).into(),
        Err(error) => {
            let text = format!("{error:#}");
            let named = named(&text);
            if named == text {
                error
            } else {
                anyhow::anyhow!(named)
            }
        }
    }
}

/// Makes every check, so that all mistakes are reported at once; but for those that need what another one has not
/// found.
fn serve_settings(settings: &Settings, values: &Values) -> Result<ServeSettings, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let config = settings.limits.config(&settings.times);
    check_limits(settings, &config, values, &mut errors);
    let has_limits = errors.is_empty();
    let proofs = errors.take(Proofs::of(settings));
    let tls = errors.take(settings.tls.read_files(&settings.certificates));
    let has_tls = tls.as_ref().is_none_or(Option::is_some);
    let admin = errors.take(admin(settings, has_tls));
    let aws = errors.take(aws_key_pair(settings));
    let apps = errors.take(apps(settings, values));
    let webhooks = apps.as_ref().map(LiveApps::load);
    let webhooks = webhooks.and_then(|apps| errors.take(webhooks_of(settings, values, &apps)));
    let members = apps
        .as_ref()
        .map(|apps| members(&settings.pusher, &apps.load()));
    let registry = errors.take(registry(settings));
    let own = proofs.as_ref();
    let listen = own.and_then(|proofs| errors.take(check_all(settings, has_tls, proofs.anonymous)));
    let keys = own.filter(|_| has_limits).map(|own| own.keys.as_ref());
    let handlers = keys.and_then(|keys| errors.take(handlers(settings, values, keys, &config)));
    let cluster = has_limits.then(|| cluster(settings, &config, values));
    let cluster = cluster.and_then(|cluster| errors.take(cluster));
    let (Some(proofs), Some(tls), Some(admin), Some(aws), Some(apps), Some(webhooks)) =
        (proofs, tls, admin, aws, apps, webhooks)
    else {
        return Err(errors);
    };
    let (Some(members), Some(registry), Some(listen), Some(handlers), Some(cluster)) =
        (members, registry, listen, handlers, cluster)
    else {
        return Err(errors);
    };
    let rules = proofs.rules(settings, apps.load().shared_hubs());
    errors.into_result(ServeSettings {
        admin,
        listen,
        issuers: proofs.issuers,
        aws: LiveKeyPair::new(aws),
        webhooks,
        apps,
        members,
        tls,
        proxies: proxies(&settings.proxy_protocol, &settings.forwarded),
        registry,
        cluster,
        rules,
        handlers,
        config,
        drain_delay: settings.times.drain_delay,
        show_payloads: settings.admin.show_payloads,
    })
}

/// What proves who somebody is.
struct Proofs {
    keys: Option<AccessKeys>,
    issuers: Issuers,
    verifier: Option<Arc<Verifier>>,
    certificates: Option<CertificateUsers>,
    /// Who may connect without, unless the settings of a hub say so.
    anonymous: Anonymous,
}

impl Proofs {
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        let keys = access_keys(settings)?;
        let issuers = issuers(settings)?;
        let verifier = verifier(settings, keys.as_ref(), &issuers)?.map(Arc::new);
        let certificates = settings.tls.client_user.map(|place| {
            let roles = Roles::parse(&settings.tls.client_roles);
            CertificateUsers::new(place, roles)
        });
        let anonymous = default_anonymous(verifier.is_some() || certificates.is_some());
        Ok(Self {
            keys,
            issuers,
            verifier,
            certificates,
            anonymous,
        })
    }

    fn rules(&self, settings: &Settings, with_channels: SharedHubs) -> LiveHubRules {
        let (verifier, certificates) = (self.verifier.as_ref(), self.certificates.as_ref());
        rules(
            settings,
            verifier,
            certificates,
            self.anonymous,
            with_channels,
        )
    }
}

/// The admin port; `None` if it is off.
fn admin(settings: &Settings, has_tls: bool) -> Result<Option<AdminPortSettings>, ConfigErrors> {
    let admin = &settings.admin;
    let token = admin.token.as_ref().map(AdminToken::of).transpose();
    let token =
        token.map_err(|error| ConfigErrors::one(format!("invalid --admin-token-file: {error}")))?;
    let listen = match &admin.listen {
        Some(AdminListen::Off) => return Ok(None),
        Some(AdminListen::At(place)) => Some(place),
        None => None,
    };
    if let Some(place) = listen {
        if token.is_none() && !place.is_local() {
            return Err(ConfigErrors::one(format!(
                "refusing to listen for operators on {place}: anyone could close connections and drain the node; \
                 use 127.0.0.1, or set a token with --admin-token-file"
            )));
        }
        let place = match place {
            AdminPlace::Address(address) => Listen::Address(*address, None),
            AdminPlace::Unix(socket) => Listen::Unix(socket.clone()),
        };
        let mut of_clients = settings.general.listen.iter();
        if of_clients.any(|of_clients| of_clients.is_same(&place)) {
            let text =
                "--admin-listen is the address of clients; give operators a port of their own";
            return Err(ConfigErrors::one(text));
        }
        if admin.tls && !place.is_tls(true) {
            let text = "--admin-tls is for addresses: a Unix socket is not encrypted; leave one of them out";
            return Err(ConfigErrors::one(text));
        }
    }
    if admin.tls && !has_tls {
        return Err(ConfigErrors::one("--admin-tls needs --tls-cert"));
    }
    Ok(Some(AdminPortSettings {
        listen: listen.cloned(),
        token: LiveAdminToken::new(token),
        tls: admin.tls,
        access: AdminAccess {
            read_only: admin.read_only,
        },
    }))
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

/// Who may connect to which hub. All accept the same tokens, each for itself, and the same certificates. `default` is for hubs whose
/// settings do not say who may connect without one. The groups of `with_channels` are also channels of an app.
pub(super) fn rules(
    settings: &Settings,
    verifier: Option<&Arc<Verifier>>,
    certificates: Option<&CertificateUsers>,
    default: Anonymous,
    with_channels: SharedHubs,
) -> LiveHubRules {
    let rules = settings.hubs.map(|hub| {
        let roles = Roles::parse(&hub.anonymous_roles);
        let anonymous = hub.anonymous.unwrap_or(default);
        Arc::new(HubRules {
            access: Access::new(anonymous, roles, verifier.cloned())
                .with_certificates(certificates.cloned()),
            origins: hub.origins(),
            limits: Arc::new(HubLimits::new(&settings.limits, hub)),
        })
    });
    LiveHubRules::new(rules, with_channels)
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
