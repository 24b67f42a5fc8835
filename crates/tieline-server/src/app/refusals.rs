//! Whom a node has refused or cut off lately, and why.
//!
//! Owns how many of them are kept, and how long their texts may be. Must not know why. Invariant: strangers cannot make
//! it hold more than [`MAX_KEPT`] short records.

use std::{collections::VecDeque, net::IpAddr};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::clock;

/// The last ones of a node.
pub(crate) const MAX_KEPT: usize = 200;

/// Longest text of a record, in bytes.
const MAX_TEXT: usize = 200;

/// What happened to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The connection ended before the listener had a request of it.
    HandshakeFailed,
    /// The upgrade was answered with another status than 101.
    UpgradeRefused,
    /// The connection was ended for what the client did, or did not do.
    ConnectionCut,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RefusalRecord {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) what: What,
    pub(crate) reason: String,
    /// As the request had it: such a hub need not exist.
    pub(crate) hub: String,
    pub(crate) address: Option<IpAddr>,
}

/// The last refusals of a node.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<VecDeque<RefusalRecord>>);

impl Refusals {
    pub(crate) fn add(&self, what: What, reason: &str, hub: &str, address: Option<IpAddr>) {
        let record = RefusalRecord {
            at: clock::unix_seconds(),
            what,
            reason: short(reason.trim_end()),
            hub: short(hub),
            address: address.map(|address| address.to_canonical()),
        };
        let mut kept = self.0.lock();
        if kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(record);
    }

    /// From the oldest to the latest.
    pub(crate) fn all(&self) -> Vec<RefusalRecord> {
        self.0.lock().iter().cloned().collect()
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_texts_are_cut() {
        let refusals = Refusals::default();
        for number in 0..MAX_KEPT + 2 {
            let reason = format!("{number} {}\n", "ü".repeat(MAX_TEXT));
            refusals.add(What::UpgradeRefused, &reason, "chat", None);
        }
        let kept = refusals.all();
        assert_eq!(kept.len(), MAX_KEPT);
        assert!(kept[0].reason.starts_with("2 ü"));
        assert!(kept.iter().all(|record| record.reason.len() <= MAX_TEXT));
    }
}
