//! Apps: who may connect, subscribe and publish, by which key pair.
//!
//! Owns what makes an app of its settings, and what its secret signs. Must not know what is signed. Invariants: no
//! two apps have the same id or key; no text shows a secret; signatures are compared in constant time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use tieline::{
    Origins,
    registry::{MAX_TTL, MIN_TTL},
};

use crate::{
    app::{
        hubs::{Hub, Hubs, MemberLimits, SharedHubs},
        limits::TooManyRequests,
    },
    config::{
        hub_name::HubName,
        sections::pusher::{APPS, AppTable},
        types::Origin,
    },
    wire::{hex, pusher::member_limits},
};

/// Shortest secret, in bytes. Those that Pusher and others make have 20.
const MIN_SECRET: usize = 16;

/// Longest id or key, in bytes.
const MAX_NAME: usize = 64;

/// An app.
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) key: String,
    secret: hmac::Key,
    /// The hub that it shares with others.
    hub: Option<HubName>,
    /// Whose pages may connect.
    pub(crate) origins: Origins,
    pub(crate) rules: AppRules,
}

/// What the clients and backends of an app may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct AppRules {
    pub(crate) enabled: bool,
    pub(crate) tls_only: bool,
    pub(crate) client_events: bool,
    /// Per second and client.
    pub(crate) max_client_event_rate: u32,
    /// Bytes of the data of an event.
    pub(crate) max_event: usize,
    /// Of the app, on this node.
    pub(crate) max_connections: Option<usize>,
    /// Of backends per second, on this node, if not as its hub.
    pub(crate) max_request_rate: Option<u32>,
    pub(crate) subscription_counts: bool,
    /// Of the last event of a cache channel.
    pub(crate) cache_expiry: Duration,
    /// Of presence channels.
    pub(crate) members: MemberLimits,
}

/// An option of the table of an app, and what is wrong with it.
type Wrong = (&'static str, String);

/// What is wrong with an option of the table of an app.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidApp {
    /// The place of the table in the list.
    pub(crate) index: usize,
    pub(crate) option: &'static str,
    /// What is to follow the name of the option.
    pub(crate) why: String,
}

impl App {
    /// `members`: unless it has other limits. Fails with all that is wrong.
    fn new(table: &AppTable, members: MemberLimits) -> Result<Self, Vec<Wrong>> {
        let mut wrong = wrong_bounds(table);
        let mut keep = |error: Wrong| wrong.push(error);
        let id = name("id", table.id.as_deref()).map_err(&mut keep);
        let key = name("key", table.key.as_deref()).map_err(&mut keep);
        let secret = secret(table).map_err(&mut keep);
        let members =
            member_limits::of(table, members).map_err(|all| all.into_iter().for_each(keep));
        let (Ok(id), Ok(key), Ok(secret), Ok(members), true) =
            (id, key, secret, members, wrong.is_empty())
        else {
            return Err(wrong);
        };
        Ok(Self {
            id,
            key,
            secret,
            hub: table.hub.clone(),
            origins: Origin::list(&table.origins).unwrap_or(Origins::Any),
            rules: AppRules {
                enabled: table.enabled,
                tls_only: table.tls_only,
                client_events: table.client_events,
                max_client_event_rate: table.max_client_event_rate,
                max_event: table.max_event.0,
                max_connections: table.max_connections,
                max_request_rate: table.max_request_rate,
                subscription_counts: table.subscription_counts,
                cache_expiry: table.cache_expiry,
                members,
            },
        })
    }

    /// The hub whose groups are the channels of the app; `None` if it does not exist.
    pub(crate) fn hub(&self, hubs: &Hubs) -> Option<Hub> {
        match &self.hub {
            Some(name) => hubs.get(name),
            None => hubs.of_app(&self.id),
        }
    }

    /// Takes a request of a backend from what the app may have: its own, or what its hub has.
    pub(crate) fn take_request(&self, hub: &Hub) -> Result<(), TooManyRequests> {
        if self.rules.max_request_rate.is_none() {
            return hub.take_request();
        }
        let limits = hub.rules().limits.requests;
        let own = limits.with_rate(self.rules.max_request_rate);
        let quotas = hub.handle().quotas();
        quotas.take_request(own, &HubName::of_app(&self.id))
    }

    /// The name of that hub.
    pub(crate) fn hub_name(&self) -> HubName {
        let own = || HubName::of_app(&self.id);
        self.hub.clone().unwrap_or_else(own)
    }

    /// The signature of a text, in lower-case hexadecimal digits.
    pub(crate) fn sign(&self, text: &[u8]) -> String {
        hex::encode(hmac::sign(&self.secret, text).as_ref())
    }

    /// Whether this is the signature of a text: in lower-case hexadecimal digits.
    pub(crate) fn has_signed(&self, text: &[u8], signature: &str) -> bool {
        let signature = unhex(signature);
        signature.is_some_and(|tag| hmac::verify(&self.secret, text, &tag).is_ok())
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut app = f.debug_struct("App");
        app.field("id", &self.id).field("hub", &self.hub);
        app.finish_non_exhaustive()
    }
}

/// All apps.
#[derive(Debug)]
pub(crate) struct Apps {
    /// What their clients are told.
    pub(crate) activity_timeout: Duration,
    by_id: BTreeMap<String, Arc<App>>,
    by_key: BTreeMap<String, Arc<App>>,
}

impl Apps {
    /// The apps of the settings. `members`: the limits of those that have none of their own. Fails with all that is
    /// wrong.
    pub(crate) fn of(
        tables: &[AppTable],
        activity_timeout: Duration,
        members: MemberLimits,
    ) -> Result<Self, Vec<InvalidApp>> {
        let mut apps = Self {
            activity_timeout,
            by_id: BTreeMap::new(),
            by_key: BTreeMap::new(),
        };
        let mut invalid = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let wrong = match App::new(table, members) {
                Ok(app) => {
                    let app = Arc::new(app);
                    apps.by_id.insert(app.id.clone(), Arc::clone(&app));
                    apps.by_key.insert(app.key.clone(), app);
                    Vec::new()
                }
                Err(wrong) => wrong,
            };
            // Also of those that are invalid for another reason.
            let wrong = wrong.into_iter().chain(taken(&tables[..index], table));
            invalid.extend(wrong.map(|(option, why)| InvalidApp { index, option, why }));
        }
        if invalid.is_empty() {
            Ok(apps)
        } else {
            Err(invalid)
        }
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id)
    }

    /// Those whose subscribers are told how many they are.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Arc<App>> {
        let apps = self.by_id.values();
        apps.filter(|app| app.rules.subscription_counts)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The hubs that apps share with others. Where several share one, others may do what any of these allows.
    pub(crate) fn shared_hubs(&self) -> SharedHubs {
        let mut shared = SharedHubs::new();
        for app in self.by_id.values() {
            if let Some(hub) = &app.hub {
                let own = app.rules.members;
                let limits = shared.entry(hub.clone()).or_insert(own);
                *limits = limits.max(own);
            }
        }
        shared
    }

    /// The longest time that any member stays after it is gone.
    pub(crate) fn longest_grace(&self) -> Duration {
        let graces = self.by_id.values().map(|app| app.rules.members.grace);
        graces.max().unwrap_or_default()
    }

    /// The names of the hubs of all apps, in order.
    pub(crate) fn hubs(&self) -> BTreeSet<HubName> {
        self.by_id.values().map(|app| app.hub_name()).collect()
    }
}

/// The apps at the moment: a reload replaces them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LiveApps(Arc<ArcSwap<Apps>>);

impl LiveApps {
    pub(crate) fn new(apps: Apps) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(apps)))
    }

    /// All apps, as they are now.
    pub(crate) fn load(&self) -> Arc<Apps> {
        self.0.load_full()
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<App>> {
        self.0.load().by_id.get(id).cloned()
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<Arc<App>> {
        self.0.load().by_key.get(key).cloned()
    }

    /// Decides from now on. `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        self.0.store(other.load());
    }
}

/// The secret, ready to sign.
fn secret(table: &AppTable) -> Result<hmac::Key, Wrong> {
    let Some(secret) = &table.secret else {
        return Err(("secret", "is required".into()));
    };
    let secret = secret.expose();
    if secret.len() < MIN_SECRET {
        let why = format!(
            "has {} bytes, and needs at least {MIN_SECRET}, because whoever guesses it can publish as a backend; \
             `tieline key` makes one",
            secret.len()
        );
        return Err(("secret", why));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
}

/// Numbers and times that are out of their bounds.
fn wrong_bounds(table: &AppTable) -> Vec<Wrong> {
    let event_rate = (table.max_client_event_rate == 0).then_some((
        "max_client_event_rate",
        "must be above zero; client_events = false refuses them all",
    ));
    let request_rate = (table.max_request_rate == Some(0)).then_some((
        "max_request_rate",
        "must be above zero; enabled = false refuses them all",
    ));
    let expiry = !(MIN_TTL..=MAX_TTL).contains(&table.cache_expiry);
    let expiry = expiry.then_some(("cache_expiry", "must be 1s to 24h"));
    let wrong = [event_rate, request_rate, expiry].into_iter().flatten();
    wrong
        .map(|(option, why)| (option, why.to_owned()))
        .collect()
}

/// What a table has that one of those before it has too.
fn taken(before: &[AppTable], table: &AppTable) -> Vec<Wrong> {
    type Name = fn(&AppTable) -> Option<&str>;
    let names: [(_, Name); 2] = [
        ("id", |table| table.id.as_deref()),
        ("key", |table| table.key.as_deref()),
    ];
    let taken = names.into_iter().filter_map(|(option, name)| {
        let own = name(table)?;
        let other = before.iter().position(|other| name(other) == Some(own))?;
        let why = format!("is also that of `{APPS}[{other}]`; give each app its own");
        Some((option, why))
    });
    taken.collect()
}

/// An id or a key, which stands in paths.
fn name(option: &'static str, text: Option<&str>) -> Result<String, Wrong> {
    let Some(text) = text else {
        return Err((option, "is required".into()));
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() > MAX_NAME || !text.bytes().all(is_plain) {
        let why = format!("must be of letters, digits, - and _, at most {MAX_NAME}");
        return Err((option, why));
    }
    Ok(text.to_owned())
}

/// The bytes of lower-case hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests;
