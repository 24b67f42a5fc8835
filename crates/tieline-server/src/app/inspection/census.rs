//! The users and groups of a node, counted by looking at each connection.
//!
//! Owns the walk. Must not know who asks. Invariants: it lets other tasks run in between; its time grows with the
//! connections, and not with the hubs that strangers think up.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::task::yield_now;

use crate::app::hubs::HubHandle;

/// Connections between two chances for other tasks.
pub(super) const SLICE: usize = 128;

/// Those of one hub.
#[derive(Default)]
pub(super) struct Census {
    pub(super) users: HashSet<String>,
    /// With the number of members.
    pub(super) groups: HashMap<Arc<str>, u64>,
}

impl Census {
    pub(super) async fn of(hub: &HubHandle) -> Self {
        let mut census = Self::default();
        let connections = hub.cluster().hub().connections();
        for (at, connection) in connections.iter().enumerate() {
            if let Some(user) = connection.user()
                && !census.users.contains(user)
            {
                census.users.insert(user.to_owned());
            }
            for group in connection.groups() {
                *census.groups.entry(group).or_default() += 1;
            }
            if at % SLICE == SLICE - 1 {
                yield_now().await;
            }
        }
        census
    }
}
