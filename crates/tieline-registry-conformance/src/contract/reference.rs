//! The rule of claims in a few lines, to compare registries with.
//!
//! All leases live. Written apart from every registry, in the words of the protocol.

use std::{collections::BTreeMap, sync::Arc};

use tieline_registry::{ClaimKind, ClientId, Entry, Owner, Stamp, Verdict};

use crate::expect::client_id;

#[derive(Debug, Default)]
pub(super) struct ReferenceModel {
    places: BTreeMap<ClientId, Arc<str>>,
    owns: BTreeMap<ClientId, (u64, Arc<str>)>,
}

impl ReferenceModel {
    pub(super) fn claim(
        &mut self,
        address: &Arc<str>,
        name: &str,
        stamp: u64,
        kind: ClaimKind,
    ) -> Verdict {
        let place = self.places.get(name).cloned();
        let own = self.owns.get(name).cloned();
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
                self.places.insert(client_id(name), writer);
            }
            return Verdict::Taken { by };
        }
        self.places.insert(client_id(name), address.clone());
        let stamp = if mine { stamp.max(known) } else { stamp };
        self.owns.insert(client_id(name), (stamp, address.clone()));
        Verdict::Granted {
            displaced: writer.filter(|_| !mine),
        }
    }

    pub(super) fn release(&mut self, address: &Arc<str>, name: &str, up_to: u64) {
        let own = self.owns.get(name);
        if own.is_none_or(|(stamp, writer)| writer == address && *stamp <= up_to) {
            self.owns.remove(name);
            if self.places.get(name) == Some(address) {
                self.places.remove(name);
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, address: &str) {
        self.places.insert(client_id(name), address.into());
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.places.remove(name);
    }

    pub(super) fn locate(&self, name: &str) -> Option<Entry> {
        let own = self.owns.get(name);
        let place = self.places.get(name);
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
            .owns
            .iter()
            .filter(|(_, (_, writer))| writer == address);
        mine.map(|(id, _)| id.clone()).collect()
    }
}
