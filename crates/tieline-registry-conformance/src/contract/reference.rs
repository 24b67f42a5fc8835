//! A registry in a few lines, with which random operations are compared.
//!
//! Owns the rule of who wins a claim. Must not share code with any registry, or a mistake would
//! pass. Invariant: all leases are alive.

use std::{collections::BTreeMap, sync::Arc};

use tieline_registry::{ClaimKind, ClientId, Entry, Owner, Stamp, Verdict};

use crate::expect::client_id;

/// The expected state of a registry.
#[derive(Debug, Default)]
pub(super) struct ReferenceModel {
    /// The address of each id, as other programs see it.
    shared: BTreeMap<ClientId, Arc<str>>,
    /// The stamp and writer of each id, which only Tieline writes.
    shadows: BTreeMap<ClientId, (u64, Arc<str>)>,
}

impl ReferenceModel {
    pub(super) fn claim(
        &mut self,
        address: &Arc<str>,
        name: &str,
        stamp: u64,
        kind: ClaimKind,
    ) -> Verdict {
        let place = self.shared.get(name).cloned();
        let own = self.shadows.get(name).cloned();
        let writer = own.as_ref().map(|(_, writer)| writer.clone());
        let foreign = place
            .clone()
            .filter(|place| Some(place) != writer.as_ref() && place != address);
        let known = own.as_ref().map_or(0, |(known, _)| *known);
        let mine = writer.as_ref() == Some(address);
        let taker = match (foreign, writer.clone()) {
            (Some(foreign), _) if kind != ClaimKind::Fresh => Some(foreign),
            (Some(foreign), Some(_)) if mine && stamp <= known => Some(foreign),
            (_, Some(writer)) if !mine && (stamp <= known || kind == ClaimKind::Exclusive) => {
                Some(writer)
            }
            _ => None,
        };
        if let Some(by) = taker {
            if let (None, Some(writer)) = (place, writer) {
                self.shared.insert(client_id(name), writer);
            }
            return Verdict::Taken { by };
        }
        self.shared.insert(client_id(name), address.clone());
        let stamp = if mine { stamp.max(known) } else { stamp };
        self.shadows
            .insert(client_id(name), (stamp, address.clone()));
        Verdict::Granted {
            displaced: writer.filter(|_| !mine),
        }
    }

    pub(super) fn release(&mut self, address: &Arc<str>, name: &str, up_to: u64) {
        let own = self.shadows.get(name);
        if own.is_none_or(|(stamp, writer)| writer == address && *stamp <= up_to) {
            self.shadows.remove(name);
            if self.shared.get(name) == Some(address) {
                self.shared.remove(name);
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, address: &str) {
        self.shared.insert(client_id(name), address.into());
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.shared.remove(name);
    }

    pub(super) fn locate(&self, name: &str) -> Option<Entry> {
        let own = self.shadows.get(name);
        let place = self.shared.get(name);
        let address = place.or(own.map(|(_, writer)| writer))?.clone();
        let own = own.filter(|(_, writer)| *writer == address);
        let owner = own.map_or(Owner::Foreign, |(stamp, _)| Owner::Node {
            stamp: Stamp(*stamp),
            leased: true,
        });
        Some(Entry { address, owner })
    }

    pub(super) fn ids_of(&self, address: &Arc<str>) -> Vec<ClientId> {
        let mine = self
            .shadows
            .iter()
            .filter(|(_, (_, writer))| writer == address);
        mine.map(|(id, _)| id.clone()).collect()
    }
}
