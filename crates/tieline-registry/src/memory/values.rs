//! The values of the registry in memory.
//!
//! Knows no clock: callers pass the time, in µs. Invariants: each value is in the order of expiry once; what the
//! values take is never above [`MAX_BYTES`]. Values that have ended are removed by later puts, two at a time, so
//! that a put takes no longer for them and what has ended does not grow.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::values::StoredValue;

/// What all values may take together.
const MAX_BYTES: usize = 64 << 20;

/// What a value takes beside its name and its bytes, about.
const OVERHEAD: usize = 200;

/// Values that have ended which one put removes.
const PURGE: usize = 2;

#[derive(Debug, thiserror::Error)]
#[error("the values in memory take 64 MiB; put fewer, or keep them for a shorter time")]
pub(super) struct Full;

#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    kept: HashMap<Arc<str>, Kept>,
    by_expiry: BTreeSet<(u64, Arc<str>)>,
    size: usize,
}

#[derive(Debug, Clone)]
struct Kept {
    bytes: Bytes,
    expiry: u64,
}

impl Values {
    /// Nothing is changed if there is no room.
    pub(super) fn put(
        &mut self,
        key: &str,
        bytes: &[u8],
        ttl: Duration,
        now: u64,
    ) -> Result<(), Full> {
        self.purge(now, PURGE);
        if !self.has_room(key, bytes.len()) {
            self.purge(now, usize::MAX);
        }
        if !self.has_room(key, bytes.len()) {
            return Err(Full);
        }
        self.remove(key);
        let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let (key, expiry) = (Arc::from(key), now.saturating_add(ttl));
        self.size += size(&key, bytes.len());
        self.by_expiry.insert((expiry, Arc::clone(&key)));
        // A copy: the caller's may be a part of something larger.
        let bytes = Bytes::copy_from_slice(bytes);
        self.kept.insert(key, Kept { bytes, expiry });
        Ok(())
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<StoredValue> {
        let kept = self.kept.get(key)?;
        let left = kept.expiry.checked_sub(now).filter(|left| *left > 0)?;
        Some(StoredValue {
            bytes: kept.bytes.clone(),
            ttl: Duration::from_micros(left),
        })
    }

    fn has_room(&self, key: &str, len: usize) -> bool {
        let replaced = self.kept.get(key);
        let replaced = replaced.map_or(0, |kept| size(key, kept.bytes.len()));
        self.size - replaced + size(key, len) <= MAX_BYTES
    }

    fn purge(&mut self, now: u64, at_most: usize) {
        for _ in 0..at_most {
            let first = self.by_expiry.first();
            let Some((_, key)) = first.filter(|(expiry, _)| *expiry <= now) else {
                break;
            };
            let key = Arc::clone(key);
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, kept)) = self.kept.remove_entry(key) {
            self.size -= size(&key, kept.bytes.len());
            self.by_expiry.remove(&(kept.expiry, key));
        }
    }
}

fn size(key: &str, len: usize) -> usize {
    OVERHEAD + key.len() + len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::MAX_VALUE;

    const SECOND: Duration = Duration::from_secs(1);
    const MICROS: u64 = 1_000_000;

    #[test]
    fn what_has_ended_does_not_grow() {
        let mut values = Values::default();
        for number in 0..1000 {
            let now = number * MICROS;
            let put = values.put(&number.to_string(), b"x", 3 * SECOND, now);
            assert!(put.is_ok());
            assert!(values.kept.len() <= 4, "{}", values.kept.len());
        }
        for number in 0..1000 {
            assert!(values.put("same", b"x", SECOND, number).is_ok());
        }
        assert_eq!(values.kept.len(), values.by_expiry.len());
        values.purge(u64::MAX, usize::MAX);
        assert_eq!((values.size, values.by_expiry.len()), (0, 0));
    }

    #[test]
    fn a_full_memory_refuses_and_takes_again_once_values_have_ended() {
        let (mut values, large) = (Values::default(), vec![0; MAX_VALUE]);
        let mut put = |number: usize, ttl, now| {
            values.put(&number.to_string(), &large, ttl, now)?;
            assert!(values.size <= MAX_BYTES);
            Ok::<(), Full>(())
        };
        let fit = (0..).take_while(|number| put(*number, 2 * SECOND, 0).is_ok());
        let fit = fit.count();
        assert_eq!(fit, MAX_BYTES / (MAX_VALUE + OVERHEAD + 4));
        assert!(put(fit, SECOND, MICROS).is_err());
        assert!(
            put(0, 2 * SECOND, MICROS).is_ok(),
            "one in place of another"
        );
        assert!(put(fit, SECOND, 2 * MICROS).is_ok());
        let found = |number: usize| values.get(&number.to_string(), 2 * MICROS).is_some();
        assert!(found(0) && found(fit) && !found(1));
    }
}
