//! The bounds of what waits.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Messages that may wait.
const MAX_MESSAGES: usize = 65_536;

/// Counts what waits, whatever it is: in messages and in bytes.
#[derive(Debug)]
pub(super) struct Budget {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
}

impl Budget {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_bytes,
        }
    }

    /// Takes up room, if there is enough. One message always fits.
    pub(super) fn try_add(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = messages == 0
            || (messages < MAX_MESSAGES && before.saturating_add(bytes) <= self.max_bytes);
        if !fits {
            self.remove(bytes);
        }
        fits
    }

    /// Takes up room for a message that was admitted before.
    pub(super) fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_bytes_are_bounded_and_one_message_always_fits() {
        let budget = Budget::new(10);
        assert!(budget.try_add(100), "one always fits");
        assert!(!budget.try_add(1));
        budget.remove(100);
        assert!(budget.try_add(4) && budget.try_add(6));
        assert!(!budget.try_add(1));
        budget.add(3);
        budget.remove(3);
        budget.remove(6);
        assert!(budget.try_add(6));
        let budget = Budget::new(10);
        for _ in 0..MAX_MESSAGES {
            assert!(budget.try_add(0));
        }
        assert!(!budget.try_add(0));
    }
}
