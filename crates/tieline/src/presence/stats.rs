//! How presence is doing on this node.

use std::sync::atomic::Ordering::Relaxed;

use super::api::Presence;

impl Presence {
    /// Whether what followers on this node were told may be out of date, as
    /// [`Following::is_stale`](super::Following::is_stale). False while nobody follows.
    pub fn is_stale(&self) -> bool {
        self.tasks.is_stale.load(Relaxed)
    }

    /// How many entries this node has, of all namespaces: users in groups, groups that are occupied, and users who are
    /// signed in. Those whose exit the registry has not taken yet are among them.
    pub fn entries(&self) -> usize {
        self.shared.table(|table| table.len())
    }
}
