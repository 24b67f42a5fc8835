//! The layers of a command: its file, the environment, its flags; and what they must satisfy.
//!
//! Owns the checks that need more than one option, those of the library among them. Must not start
//! anything. Invariant: what passes here can be started, as far as can be known before.

use std::sync::Arc;

use super::{
    cluster::{cluster, registry},
    keys::{access_keys, aws_key_pair, issuers, public_endpoints},
    limits::check_limits,
    listening::{check_all, default_anonymous},
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
        listen::Listen,
        names,
        sections::{
            admin::{AdminListen, AdminPlace},
            hub::Anonymous,
            proxies::proxies,
        },
        settings::{Layers, Read, Settings},
        source,
        values::Values,
    },
    supervisor::{admin::AdminPortSettings, expiry, serve::ServeSettings},
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

/// Reads the layers and checks everything. What is wrong with options together is looked for even if single ones are
/// refused, as far as it does not follow from that.
pub(crate) fn check(layers: &Layers) -> anyhow::Result<Checked> {
    let Read {
        settings,
        values,
        mut errors,
    } = layers.read(&source::environment());
    if values.is_incomplete {
        return Err(errors.into());
    }
    match serve_settings(&settings, &values) {
        Ok(serve) => {
            let checked = Checked {
                settings,
                values,
                serve,
            };
            Ok(errors.into_result(checked)?)
        }
        Err(others) => {
            let others = others.map(|text| names::flags_as_set(text, &values));
            errors.extend(others.without_those_about(&values.refused_names()));
            Err(errors.into())
        }
    }
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

/// Makes every check, so that all mistakes are reported at once.
fn serve_settings(settings: &Settings, values: &Values) -> Result<ServeSettings, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let config = settings.limits.config(&settings.times);
    check_limits(settings, &config, values, &mut errors);
    let proofs = errors.take(Proofs::of(settings, values));
    let tls = errors.take(settings.tls.read_files(&settings.certificates));
    // Not whether it can be used, which is reported once.
    let has_tls = tls.as_ref().is_none_or(Option::is_some);
    let anonymous = proofs.as_ref().and_then(|proofs| proofs.anonymous);
    let listen = errors.take(check_all(settings, has_tls, anonymous));
    let admin = errors.take(admin(settings, has_tls));
    let aws = errors.take(aws_key_pair(settings, values));
    let apps = errors.take(apps(settings, values));
    let loaded = apps.as_ref().map(LiveApps::load);
    let webhooks = errors.take(webhooks_of(settings, values, loaded.as_deref()));
    let keys = proofs.as_ref().and_then(|proofs| proofs.keys.as_ref());
    let handlers = errors.take(handlers(settings, values, keys, &config));
    let registry = errors.take(registry(settings));
    let cluster = errors.take(cluster(settings, &config, values));
    let (Some(proofs), Some(tls), Some(listen), Some(admin), Some(aws)) =
        (proofs, tls, listen, admin, aws)
    else {
        return Err(errors);
    };
    let (Some(apps), Some(webhooks), Some(handlers), Some(registry), Some(cluster)) =
        (apps, webhooks, handlers, registry, cluster)
    else {
        return Err(errors);
    };
    let loaded = apps.load();
    errors.into_result(ServeSettings {
        admin,
        listen,
        rules: proofs.rules(settings, loaded.shared_hubs()),
        members: members(&settings.pusher, &loaded),
        issuers: proofs.issuers,
        aws: LiveKeyPair::new(aws),
        webhooks,
        apps,
        tls,
        proxies: proxies(&settings.proxy_protocol, &settings.forwarded),
        registry,
        cluster,
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
    /// Who may connect without, unless the settings of a hub say so. `None` if that is not known, because a proof is
    /// invalid.
    anonymous: Option<Anonymous>,
}

impl Proofs {
    fn of(settings: &Settings, values: &Values) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let keys = errors.take(access_keys(settings));
        let issuers = errors.take(issuers(settings, values));
        let endpoints = errors.take(public_endpoints(settings));
        let (Some(keys), Some(issuers), Some(endpoints)) = (keys, issuers, endpoints) else {
            return Err(errors);
        };
        let has_signers = keys.is_some() || !issuers.is_empty();
        let verifier =
            has_signers.then(|| Verifier::new(keys.as_ref(), issuers.clone(), endpoints));
        let certificates = settings.tls.client_user.map(|place| {
            let roles = Roles::parse(&settings.tls.client_roles);
            CertificateUsers::new(place, roles)
        });
        let default = default_anonymous(has_signers || certificates.is_some());
        let proofs = ["keys", "issuers", "tls.client_user"];
        let is_known = !proofs.iter().any(|place| values.has_refused(place));
        Ok(Self {
            keys,
            issuers,
            verifier: verifier.map(Arc::new),
            certificates,
            anonymous: is_known.then_some(default),
        })
    }

    fn rules(&self, settings: &Settings, with_channels: SharedHubs) -> LiveHubRules {
        let (verifier, certificates) = (self.verifier.as_ref(), self.certificates.as_ref());
        let default = self.anonymous.unwrap_or(Anonymous::Never);
        rules(settings, verifier, certificates, default, with_channels)
    }
}

/// The admin port; `None` if it is off.
fn admin(settings: &Settings, has_tls: bool) -> Result<Option<AdminPortSettings>, ConfigErrors> {
    let admin = &settings.admin;
    let mut errors = ConfigErrors::default();
    let token = admin.token.as_ref().map(AdminToken::of).transpose();
    let invalid = |error| ConfigErrors::one(format!("invalid --admin-token-file: {error}"));
    let token = errors.take(token.map_err(invalid));
    let listen = match &admin.listen {
        Some(AdminListen::Off) => return errors.into_result(None),
        Some(AdminListen::At(place)) => Some(place),
        None => None,
    };
    if let Some(place) = listen {
        check_admin_place(settings, place, &mut errors);
    }
    if admin.tls && !has_tls {
        errors.add("--admin-tls needs --tls-cert");
    }
    errors.into_result(Some(AdminPortSettings {
        listen: listen.cloned(),
        token: LiveAdminToken::new(token.flatten()),
        tls: admin.tls,
        access: AdminAccess {
            read_only: admin.read_only,
        },
    }))
}

fn check_admin_place(settings: &Settings, place: &AdminPlace, errors: &mut ConfigErrors) {
    let admin = &settings.admin;
    if admin.token.is_none() && !place.is_local() {
        errors.add(format!(
            "refusing to listen for operators on {place}: anyone could close connections and drain the node; \
             use 127.0.0.1, or set a token with --admin-token-file"
        ));
    }
    let listen = match place {
        AdminPlace::Address(address) => Listen::Address(*address, None),
        AdminPlace::Unix(socket) => Listen::Unix(socket.clone()),
    };
    let mut of_clients = settings.general.listen.iter();
    if of_clients.any(|of_clients| of_clients.is_same(&listen)) {
        errors.add("--admin-listen is the address of clients; give operators a port of their own");
    }
    if admin.tls && !listen.is_tls(true) {
        errors.add(
            "--admin-tls is for addresses: a Unix socket is not encrypted; leave one of them out",
        );
    }
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

#[cfg(test)]
mod tests;
