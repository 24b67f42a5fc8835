//! The leases that values are bound to, by which etcd removes what has ended.
//!
//! Owns which lease a value takes, and for how long. A lease for each put would cost a second write and stay until
//! its end, so that there would be as many leases as puts; one for all values would have so many keys that its end
//! holds etcd up ([`LeaseSet`] says how). So a process has up to [`SLOTS`] leases for each power of two of the time to
//! live, and a name always takes the same one. A lease lives for twice that power. It is used in the first half, so
//! that a value is never removed early, and then replaced by another one. Must not know calls.
//!
//! [`LeaseSet`]: super::lease_set::LeaseSet

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Leases for one power of two, at most.
const SLOTS: u64 = 256;

/// The leases that values are bound to at present.
#[derive(Debug, Default)]
pub(super) struct ValueLeases {
    hasher: RandomState,
    current: Mutex<HashMap<Slot, Current>>,
}

/// Which lease a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// The time to live, rounded up to a power of two, in seconds.
    pub(super) seconds: u64,
    number: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Current {
    pub(super) lease: i64,
    /// Until when it lives long enough for a value.
    pub(super) until: Instant,
}

impl ValueLeases {
    pub(super) fn slot(&self, key: &str, ttl: Duration) -> Slot {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        Slot {
            seconds: seconds.next_power_of_two(),
            number: self.hasher.hash_one(key) % SLOTS,
        }
    }

    pub(super) fn usable(&self, slot: Slot) -> Option<i64> {
        let current = self.current.lock().get(&slot).copied()?;
        (Instant::now() < current.until).then_some(current.lease)
    }

    pub(super) fn set(&self, slot: Slot, current: Current) {
        self.current.lock().insert(slot, current);
    }

    /// Stops using a lease that has ended.
    pub(super) fn remove(&self, slot: Slot, lease: i64) {
        let mut all = self.current.lock();
        if all.get(&slot).is_some_and(|current| current.lease == lease) {
            all.remove(&slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_for_all_puts_of_a_name_in_its_first_half() {
        let leases = ValueLeases::default();
        let slot = leases.slot("a", Duration::from_millis(1025));
        assert_eq!(slot.seconds, 2);
        assert_eq!(leases.slot("a", Duration::from_secs(2)), slot);
        assert_ne!(leases.slot("a", Duration::from_secs(3)), slot);
        assert_eq!(leases.usable(slot), None);
        let mut until = Instant::now() + Duration::from_mins(1);
        leases.set(slot, Current { lease: 7, until });
        assert_eq!(leases.usable(slot), Some(7));
        leases.remove(slot, 6);
        assert_eq!(leases.usable(slot), Some(7));
        leases.remove(slot, 7);
        assert_eq!(leases.usable(slot), None);
        until = Instant::now();
        leases.set(slot, Current { lease: 8, until });
        assert_eq!(leases.usable(slot), None);
    }
}
