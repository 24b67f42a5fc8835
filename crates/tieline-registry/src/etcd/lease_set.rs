//! Which leases the nodes have, and which of them a new entry is bound to.
//!
//! Owns the numbers: a node begins with the lease of its own key, number 0, and gets one more for each
//! [`ENTRIES_PER_LEASE`] entries. A new entry is bound to a random one of the upper half, so that a lease
//! has about twice as many entries at most, whatever the order in which connections come and go. Must not
//! know calls. Nodes are told apart by the lease of their key.
//!
//! A lease is bounded because etcd works through all keys of a lease at once: when it ends, all are deleted
//! in one transaction, during which nothing else is carried out; it is listed in one response; and if users
//! are enabled, each write that is bound to it checks the permissions of all its keys.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::types::NodeSession;

/// How many entries come with each further lease. Fewer cost more renewals: each lease is renewed by itself.
pub(super) const ENTRIES_PER_LEASE: u64 = 64;

/// The leases of all nodes that use this registry.
#[derive(Debug, Default)]
pub(super) struct LeaseSet(Mutex<HashMap<i64, NodeLeases>>);

#[derive(Debug, Default)]
struct NodeLeases {
    /// The leases by number, without number 0.
    further: BTreeMap<u32, i64>,
    /// How many entries the node has, about: other nodes displace some unnoticed. Each walk corrects it.
    entries: u64,
}

impl LeaseSet {
    /// The numbers of the leases for so many new entries.
    pub(super) fn pick(&self, session: &NodeSession, count: usize) -> Vec<u32> {
        let entries = self.of(session, |node| node.entries);
        (entries..).take(count).map(pick).collect()
    }

    /// Those of these numbers that have no lease yet.
    pub(super) fn missing(&self, session: &NodeSession, numbers: &[u32]) -> Vec<u32> {
        let mut missing = numbers.to_vec();
        missing.sort_unstable();
        missing.dedup();
        self.of(session, |node| {
            missing.retain(|number| *number != 0 && !node.further.contains_key(number));
        });
        missing
    }

    /// The lease with this number.
    pub(super) fn lease(&self, session: &NodeSession, number: u32) -> i64 {
        let further = self.of(session, |node| node.further.get(&number).copied());
        further.unwrap_or(session.lease_id)
    }

    /// All leases with their numbers, beginning at a number.
    pub(super) fn from(&self, session: &NodeSession, number: u32) -> Vec<(u32, i64)> {
        let first = (number == 0).then_some((0, session.lease_id));
        self.of(session, |node| {
            let further = node.further.range(number..);
            let further = further.map(|(number, lease)| (*number, *lease));
            first.into_iter().chain(further).collect()
        })
    }

    /// Whether a lease is one of the node's.
    pub(super) fn holds(&self, session: &NodeSession, lease: i64) -> bool {
        let is_further = |node: &mut NodeLeases| node.further.values().any(|other| *other == lease);
        lease == session.lease_id || lease != 0 && self.of(session, is_further)
    }

    pub(super) fn add(&self, session: &NodeSession, number: u32, lease: i64) {
        self.of(session, |node| node.further.insert(number, lease));
    }

    /// Removes leases that have ended.
    pub(super) fn remove(&self, session: &NodeSession, ended: &[i64]) {
        self.of(session, |node| {
            node.further.retain(|_, lease| !ended.contains(lease));
        });
    }

    /// Removes a node.
    pub(super) fn forget(&self, session: &NodeSession) {
        self.0.lock().remove(&session.lease_id);
    }

    pub(super) fn on_written(&self, session: &NodeSession, entries: usize) {
        self.of(session, |node| node.entries += entries as u64);
    }

    pub(super) fn on_deleted(&self, session: &NodeSession, entries: usize) {
        self.of(session, |node| {
            node.entries = node.entries.saturating_sub(entries as u64);
        });
    }

    /// A walk over all leases has found so many entries.
    pub(super) fn on_counted(&self, session: &NodeSession, entries: u64) {
        self.of(session, |node| node.entries = entries);
    }

    fn of<R>(&self, session: &NodeSession, f: impl FnOnce(&mut NodeLeases) -> R) -> R {
        f(self.0.lock().entry(session.lease_id).or_default())
    }
}

/// The number of the lease for a new entry, beside this many others. Chosen at random, so that no client
/// can fill one lease.
fn pick(entries: u64) -> u32 {
    let leases = u32::try_from(entries / ENTRIES_PER_LEASE + 1).unwrap_or(u32::MAX);
    fastrand::u32(leases / 2..leases)
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use uuid::Uuid;

    use super::*;

    fn session() -> NodeSession {
        NodeSession {
            address: "h:1".into(),
            process: Uuid::nil(),
            ttl: Duration::from_secs(10),
            lease_id: 7,
            fencing_token: 1,
        }
    }

    /// A new entry: the number of its lease.
    fn claim(set: &LeaseSet, session: &NodeSession) -> u32 {
        let numbers = set.pick(session, 1);
        for number in set.missing(session, &numbers) {
            set.add(session, number, 1000 + i64::from(number));
        }
        set.on_written(session, 1);
        numbers[0]
    }

    fn fullest(entries: &VecDeque<u32>) -> usize {
        let mut counts = HashMap::new();
        entries
            .iter()
            .for_each(|lease| *counts.entry(lease).or_insert(0) += 1);
        counts.into_values().max().unwrap_or_default()
    }

    #[test]
    fn leases_grow_with_the_entries_and_stay_bounded_while_they_come_and_go() {
        let (set, session) = (LeaseSet::default(), session());
        let mut entries: VecDeque<u32> = (0..ENTRIES_PER_LEASE)
            .map(|_| claim(&set, &session))
            .collect();
        assert!(
            entries.iter().all(|number| *number == 0),
            "a small node has one lease"
        );
        let bound = 4 * usize::try_from(ENTRIES_PER_LEASE).unwrap();
        for live in [20_000, 2_000, 20_000] {
            while entries.len() > live {
                // In an order that has nothing to do with the leases.
                entries.swap(0, 7 * entries.len() / 11);
                entries.pop_front();
                set.on_deleted(&session, 1);
            }
            for _ in 0..30_000 {
                entries.push_back(claim(&set, &session));
                if entries.len() > live {
                    entries.pop_front();
                    set.on_deleted(&session, 1);
                }
            }
            let most = fullest(&entries);
            assert!(most < bound, "{live}: {most}");
        }
        let leases = set.from(&session, 0).len() as u64;
        assert!(leases <= 20_000 / ENTRIES_PER_LEASE + 2, "{leases}");
    }

    #[test]
    fn a_node_knows_its_leases_and_no_others() {
        let (set, session) = (LeaseSet::default(), session());
        set.add(&session, 3, 1003);
        assert_eq!(set.from(&session, 0), [(0, 7), (3, 1003)]);
        assert_eq!(set.from(&session, 1), [(3, 1003)]);
        assert!(set.holds(&session, 7) && set.holds(&session, 1003));
        assert!(!set.holds(&session, 0) && !set.holds(&session, 8));
        assert_eq!((set.lease(&session, 3), set.lease(&session, 4)), (1003, 7));
        assert_eq!(set.missing(&session, &[4, 0, 3, 4]), [4]);
        set.remove(&session, &[1003]);
        assert!(!set.holds(&session, 1003));
    }
}
