//! Settings that each hub has: its own, or those of all hubs.
//!
//! Owns which hubs exist, as far as the configuration says. Must not know the settings, nor which hubs are
//! used.

use std::collections::BTreeMap;

use super::hub_name::HubName;

/// A value for each hub.
#[derive(Debug, Clone)]
pub(crate) struct PerHub<T> {
    /// Of a hub without a table of its own.
    defaults: T,
    listed: BTreeMap<HubName, T>,
    /// Whether a hub without a table does not exist.
    only_listed: bool,
}

impl<T> PerHub<T> {
    pub(super) fn new(defaults: T, listed: BTreeMap<HubName, T>, only_listed: bool) -> Self {
        Self {
            defaults,
            listed,
            only_listed,
        }
    }

    /// The value for a hub, by its name in lower case; `None` if there is no such hub.
    pub(crate) fn of(&self, hub: &str) -> Option<&T> {
        let defaults = (!self.only_listed).then_some(&self.defaults);
        self.listed.get(hub).or(defaults)
    }

    /// The values that some hub has or could have, each with its hub if that has a table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&HubName>, &T)> {
        let defaults = (!self.only_listed).then_some((None, &self.defaults));
        let listed = self.listed.iter().map(|(hub, value)| (Some(hub), value));
        defaults.into_iter().chain(listed)
    }

    /// The value of hubs without a table.
    pub(crate) fn defaults(&self) -> &T {
        &self.defaults
    }

    /// The hubs with a table.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HubName> {
        self.listed.keys()
    }

    /// The value of a hub with a table.
    pub(super) fn own(&self, hub: &HubName) -> Option<&T> {
        self.listed.get(hub)
    }

    /// The value that a hub has or would have.
    pub(super) fn own_or_default(&self, hub: &HubName) -> &T {
        self.listed.get(hub).unwrap_or(&self.defaults)
    }

    /// What `make` makes of each value, which is that of a hub or the default.
    pub(crate) fn map_named<U>(
        &self,
        mut make: impl FnMut(Option<&HubName>, &T) -> U,
    ) -> PerHub<U> {
        let defaults = make(None, &self.defaults);
        let listed = self.listed.iter();
        let listed = listed.map(|(hub, value)| (hub.clone(), make(Some(hub), value)));
        PerHub {
            defaults,
            listed: listed.collect(),
            only_listed: self.only_listed,
        }
    }

    /// What `make` makes of each value.
    pub(crate) fn map<U>(&self, make: impl Fn(&T) -> U) -> PerHub<U> {
        let listed = self.listed.iter();
        let listed = listed.map(|(hub, value)| (hub.clone(), make(value)));
        PerHub {
            defaults: make(&self.defaults),
            listed: listed.collect(),
            only_listed: self.only_listed,
        }
    }

    /// The same. Fails as `make` does.
    pub(crate) fn try_map<U, E>(&self, make: impl Fn(&T) -> Result<U, E>) -> Result<PerHub<U>, E> {
        let listed = self.listed.iter();
        let listed = listed.map(|(hub, value)| Ok((hub.clone(), make(value)?)));
        Ok(PerHub {
            defaults: make(&self.defaults)?,
            listed: listed.collect::<Result<_, E>>()?,
            only_listed: self.only_listed,
        })
    }
}
