//! The settings of the server, typed, and how they are put together.
//!
//! Owns the order of the layers: the defaults, the file, the environment, the flags. A table of a hub goes
//! over `hub_defaults` option by option; a list replaces the list. Must not know the command line.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf};

use super::{
    environment,
    error::ConfigErrors,
    file,
    hub_name::HubName,
    known,
    option::{Opt, Raw},
    per_hub::PerHub,
    sections::{
        admin::AdminSettings,
        aws::Aws,
        cluster::ClusterSettings,
        event_handlers::{DEFAULT_LIST, EventHandlerTable, LIST},
        general::General,
        hub::HubSettings,
        issuers::IssuerTable,
        keys::Keys,
        limits::Limits,
        log::LogSettings,
        proxies::{Forwarded, ProxyProtocol},
        pusher::{APPS, AppTable, PusherSettings},
        pusher_webhooks::{WEBHOOKS, WebhookTable},
        times::Times,
        tls::{CERTIFICATES, CertificateTable, TlsSettings},
        traces::TracesSettings,
    },
    source::{Environment, Source},
    values::{Reader, Values, hub_scope, list_scope, path},
};

/// The settings of the server.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) general: General,
    pub(crate) keys: Keys,
    pub(crate) issuers: Vec<IssuerTable>,
    pub(crate) aws: Aws,
    pub(crate) tls: TlsSettings,
    pub(crate) certificates: Vec<CertificateTable>,
    pub(crate) proxy_protocol: ProxyProtocol,
    pub(crate) forwarded: Forwarded,
    pub(crate) cluster: ClusterSettings,
    pub(crate) pusher: PusherSettings,
    pub(crate) pusher_apps: Vec<AppTable>,
    /// Those of each app.
    pub(crate) pusher_webhooks: Vec<Vec<WebhookTable>>,
    pub(crate) limits: Limits,
    pub(crate) times: Times,
    pub(crate) admin: AdminSettings,
    pub(crate) log: LogSettings,
    pub(crate) traces: TracesSettings,
    pub(crate) hubs: PerHub<HubSettings>,
    /// `None` for hubs that have the list of all hubs.
    pub(crate) event_handlers: PerHub<Option<Vec<EventHandlerTable>>>,
}

/// A flag of the command line.
#[derive(Clone)]
pub(crate) struct Flag {
    pub(crate) option: &'static Opt,
    /// With its dashes.
    pub(crate) name: String,
    pub(crate) raw: Raw,
}

/// Where settings come from.
#[derive(Clone)]
pub(crate) struct Layers {
    pub(crate) file: Option<PathBuf>,
    pub(crate) flags: Vec<Flag>,
    /// Which options the command has.
    pub(crate) is_used: fn(&Opt) -> bool,
}

/// What the layers have.
pub(crate) struct Read {
    /// With the defaults of options whose values are refused.
    pub(crate) settings: Settings,
    pub(crate) values: Values,
    /// What is wrong with single options.
    pub(crate) errors: ConfigErrors,
}

impl Layers {
    /// Reads all layers.
    pub(crate) fn read(&self, environment: &Environment) -> Read {
        let mut values = Values::new(environment.clone());
        if let Some(path) = &self.file {
            file::add(&mut values, path);
        }
        environment::add(&mut values, environment, self.is_used);
        for flag in &self.flags {
            let source = Source::Flag(flag.name.clone());
            known::set(&mut values, flag.option, flag.raw.clone(), source);
        }
        if !values.is_incomplete {
            check_registry(&mut values);
        }
        let mut errors = std::mem::take(&mut values.errors);
        let (settings, unreadable) = Settings::read(&values);
        errors.extend(unreadable);
        Read {
            settings,
            values,
            errors,
        }
    }

    /// The same, if nothing is wrong with single options.
    pub(crate) fn load(
        &self,
        environment: &Environment,
    ) -> Result<(Settings, Values), ConfigErrors> {
        let read = self.read(environment);
        read.errors.into_result((read.settings, read.values))
    }
}

impl Settings {
    /// With what has become unreadable since it was checked.
    fn read(values: &Values) -> (Self, ConfigErrors) {
        let errors = RefCell::default();
        let reader = Reader::new(values, &errors);
        let hub = |hub: &HubName| {
            let scope = hub_scope(hub.as_str());
            (hub.clone(), HubSettings::read(&reader.scope(scope)))
        };
        let handlers = |list: &str| reader.tables(list, EventHandlerTable::read);
        let handlers_of = |hub: &HubName| {
            let list = format!("{}.{LIST}", hub_scope(hub.as_str()));
            (hub.clone(), handlers(&list))
        };
        let apps = reader.tables(APPS, AppTable::read).unwrap_or_default();
        let webhooks = |app| reader.tables(&webhook_list(app), WebhookTable::read);
        let webhooks = (0..apps.len()).map(|app| webhooks(app).unwrap_or_default());
        let certificates = reader.tables(CERTIFICATES, CertificateTable::read);
        let issuers = reader.tables("issuers", IssuerTable::read);
        let general = General::read(&reader);
        let settings = Self {
            keys: Keys::read(&reader),
            issuers: issuers.unwrap_or_default(),
            aws: Aws::read(&reader),
            tls: TlsSettings::read(&reader),
            certificates: certificates.unwrap_or_default(),
            proxy_protocol: ProxyProtocol::read(&reader),
            forwarded: Forwarded::read(&reader),
            cluster: ClusterSettings::read(&reader),
            pusher: PusherSettings::read(&reader),
            pusher_webhooks: webhooks.collect(),
            pusher_apps: apps,
            limits: Limits::read(&reader),
            times: Times::read(&reader),
            admin: AdminSettings::read(&reader),
            log: LogSettings::read(&reader),
            traces: TracesSettings::read(&reader),
            hubs: PerHub::new(
                HubSettings::read(&reader),
                values.hubs.iter().map(hub).collect(),
                general.only_listed_hubs,
            ),
            event_handlers: PerHub::new(
                handlers(DEFAULT_LIST),
                values.hubs.iter().map(handlers_of).collect(),
                general.only_listed_hubs,
            ),
            general,
        };
        (settings, errors.take())
    }

    /// What differs, as places in the file.
    pub(crate) fn changes(&self, other: &Self) -> Vec<(String, &'static Opt)> {
        let global = [
            self.general.changes(&other.general),
            self.keys.changes(&other.keys),
            self.aws.changes(&other.aws),
            self.tls.changes(&other.tls),
            self.proxy_protocol.changes(&other.proxy_protocol),
            self.forwarded.changes(&other.forwarded),
            self.cluster.changes(&other.cluster),
            self.pusher.changes(&other.pusher),
            self.limits.changes(&other.limits),
            self.times.changes(&other.times),
            self.admin.changes(&other.admin),
            self.log.changes(&other.log),
            self.traces.changes(&other.traces),
        ];
        let global = global.into_iter().flatten();
        let mut changes: Vec<_> = global.map(|option| (option.path(), option)).collect();
        changes.extend(list_changes(
            ("issuers", IssuerTable::OPTIONS),
            (&self.issuers, &other.issuers),
            IssuerTable::changes,
        ));
        changes.extend(list_changes(
            (CERTIFICATES, CertificateTable::OPTIONS),
            (&self.certificates, &other.certificates),
            CertificateTable::changes,
        ));
        changes.extend(list_changes(
            (APPS, AppTable::OPTIONS),
            (&self.pusher_apps, &other.pusher_apps),
            AppTable::changes,
        ));
        let webhooks = self.pusher_webhooks.iter().zip(&other.pusher_webhooks);
        changes.extend(webhooks.enumerate().flat_map(|(index, (old, new))| {
            let (list, options) = (webhook_list(index), WebhookTable::OPTIONS);
            list_changes((&list, options), (old, new), WebhookTable::changes)
        }));
        changes.extend(self.hub_changes(other));
        changes
    }

    fn hub_changes(&self, other: &Self) -> Vec<(String, &'static Opt)> {
        let (old, new) = (&self.hubs, &other.hubs);
        let differing = old.defaults().changes(new.defaults()).into_iter();
        let mut changes: Vec<_> = differing.map(|option| (option.path(), option)).collect();
        let (handlers, others) = (&self.event_handlers, &other.event_handlers);
        let defaults = handler_changes(
            DEFAULT_LIST,
            handlers.defaults().as_ref(),
            others.defaults().as_ref(),
        );
        changes.extend(defaults);
        let names: BTreeSet<_> = old.names().chain(new.names()).collect();
        for name in names {
            let scope = hub_scope(name.as_str());
            let list = format!("{scope}.{LIST}");
            let [own, others] = [handlers, others].map(|lists| lists.own(name)?.as_ref());
            changes.extend(handler_changes(&list, own, others));
            let differing = old.own_or_default(name).changes(new.own_or_default(name));
            if differing.is_empty() && old.own(name).is_some() != new.own(name).is_some() {
                // A table that says what holds without it.
                changes.push((scope, &HubSettings::OPTIONS[0]));
                continue;
            }
            let differing = differing.into_iter();
            changes.extend(differing.map(|option| (path(option, Some(&scope)), option)));
        }
        changes
    }
}

/// The place of the webhooks of an app.
pub(crate) fn webhook_list(app: usize) -> String {
    format!("{}.{WEBHOOKS}", list_scope(APPS, app))
}

/// What differs between the lists of event handlers at a place.
fn handler_changes(
    list: &str,
    old: Option<&Vec<EventHandlerTable>>,
    new: Option<&Vec<EventHandlerTable>>,
) -> Vec<(String, &'static Opt)> {
    let options = EventHandlerTable::OPTIONS;
    match (old, new) {
        (None, None) => Vec::new(),
        (Some(old), Some(new)) => {
            list_changes((list, options), (old, new), EventHandlerTable::changes)
        }
        _ => vec![(list.to_owned(), &options[0])],
    }
}

/// What differs between the tables of a list.
fn list_changes<T>(
    (list, options): (&str, &'static [Opt]),
    (old, new): (&[T], &[T]),
    changes: fn(&T, &T) -> Vec<&'static Opt>,
) -> Vec<(String, &'static Opt)> {
    if old.len() != new.len() {
        return vec![(list.to_owned(), &options[0])];
    }
    let tables = old.iter().zip(new).enumerate();
    let changes = tables.flat_map(|(index, (old, new))| {
        let scope = list_scope(list, index);
        let differing = changes(old, new).into_iter();
        differing.map(move |option| (path(option, Some(&scope)), option))
    });
    changes.collect()
}

/// Without a registry, what is said about the cluster has no effect. It is a mistake, unless a stronger layer
/// took the registry away.
fn check_registry(values: &mut Values) {
    let [registry, ..] = ClusterSettings::OPTIONS else {
        return;
    };
    if values.shown(registry, None).is_some() || values.has_refused(&registry.path()) {
        return;
    }
    let off = |option: &Opt| {
        values
            .shown(option, None)
            .is_none_or(|(shown, _)| shown == "false")
    };
    let set = values.set_in("cluster").filter(|option| !off(option));
    let needs = set.map(|option| {
        let name_of = |option| values.name_of(option, None);
        let (name, registry) = (name_of(option), name_of(registry));
        format!("{name} needs {registry}: without it, the node is in no cluster")
    });
    let needs: Vec<_> = needs.collect();
    needs.into_iter().for_each(|text| values.errors.add(text));
}

#[cfg(test)]
impl Settings {
    /// Those of a node with these variables, and no file.
    pub(crate) fn of_variables(variables: &[(&str, &str)]) -> Self {
        let layers = Layers {
            file: None,
            flags: Vec::new(),
            is_used: |_| true,
        };
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers.load(&variables.collect()).unwrap().0
    }
}
