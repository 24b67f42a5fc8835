//! Tells the subscribers of a channel, and webhooks, how many they are.
//!
//! Owns how often. Must not know who subscribes. Invariants: one node of the cluster counts a channel, and tells the
//! subscribers of all nodes, so that what it has counted last is told last; it counts after each change of which it was
//! told, and what it counted without a node is owed; memory is bounded by the channels that have changed in the last
//! seconds, and by the bound of [`OwedCounts`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{AskError, Counted, NodeCount, Summary};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{
    app::{App, LiveApps},
    counting_node::{ChannelChanged, counting_node},
    dialect, outgoing,
    owed_counts::OwedCounts,
    webhooks::Webhooks,
};
use crate::{
    app::{hubs::HubHandle, notices},
    config::hub_name::HubName,
};

/// Between two notices to the node that counts a channel: what changes meanwhile is noticed together.
const NOTICE_PAUSE: Duration = Duration::from_millis(100);

/// Between two counts of a channel.
const PAUSE: Duration = Duration::from_secs(1);

/// The same for a channel with many subscribers, each of whom is told.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// More are many.
const MANY: u64 = 100;

type Key = (HubName, Box<str>);

/// Who is told, and what was lately.
pub(super) struct Counting {
    apps: LiveApps,
    pub(super) webhooks: Webhooks,
    /// Those that were noticed.
    noticed: Recent,
    /// Those that were counted.
    counted: Recent,
    /// Those whose count was not whole.
    pub(super) owed: OwedCounts,
}

/// The channels of which something was done lately or is now, and whether they have changed since.
#[derive(Debug, Default)]
struct Recent(Mutex<HashMap<Key, bool>>);

impl Recent {
    /// Notes a change. Whether somebody has to begin.
    fn note(&self, key: &Key) -> bool {
        let mut counted = self.0.lock();
        if let Some(has_changed) = counted.get_mut(key) {
            *has_changed = true;
            return false;
        }
        counted.insert(key.clone(), false);
        true
    }

    /// After a pause: whether it has changed meanwhile. If not, it is forgotten.
    fn has_changed(&self, key: &Key) -> bool {
        let mut counted = self.0.lock();
        let has_changed = counted.get_mut(key).is_some_and(std::mem::take);
        if !has_changed {
            counted.remove(key);
        }
        has_changed
    }
}

impl Counting {
    pub(super) fn new(apps: LiveApps, webhooks: Webhooks) -> Self {
        Self {
            apps,
            webhooks,
            noticed: Recent::default(),
            counted: Recent::default(),
            owed: OwedCounts::default(),
        }
    }

    /// The number of a channel's subscribers at this node has changed.
    pub(super) fn changed(self: &Arc<Self>, app: &Arc<App>, hub: &HubHandle, channel: &str) {
        let key = (hub.name().clone(), channel.into());
        // Without a runtime, the process ends.
        if let Ok(runtime) = Handle::try_current()
            && self.noticed.note(&key)
        {
            let (counting, app, hub) = (Arc::clone(self), Arc::clone(app), hub.clone());
            runtime.spawn(async move {
                loop {
                    counting.notice(&app, &hub, &key.1).await;
                    sleep(NOTICE_PAUSE).await;
                    if !counting.noticed.has_changed(&key) {
                        return;
                    }
                }
            });
        }
    }

    /// Has a channel counted: by the node that all choose, or else here.
    async fn notice(self: &Arc<Self>, app: &Arc<App>, hub: &HubHandle, channel: &str) {
        if let Some(node) = counting_node(hub.cluster(), channel) {
            let changed = ChannelChanged::new(&app.id, channel);
            match notices::tell(hub.cluster(), &node, &changed.text()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(%node, %error, channel, "counts subscribers in place of another node");
                    // It may read the notice yet, and count without what it does not know of this node.
                    if error != AskError::Unsupported {
                        self.owed.note_substitution(changed, node, Instant::now());
                    }
                }
            }
        }
        self.count(app, hub, channel);
    }

    /// Counts a channel that has changed on any node, now or after the pause.
    pub(super) fn count(self: &Arc<Self>, app: &Arc<App>, hub: &HubHandle, channel: &str) {
        let key = (hub.name().clone(), channel.into());
        if !self.counted.note(&key) {
            return;
        }
        let (counting, app, hub) = (Arc::clone(self), Arc::clone(app), hub.clone());
        tokio::spawn(async move {
            loop {
                sleep(counting.tell(&app.id, &hub, &key.1).await).await;
                if !counting.counted.has_changed(&key) {
                    return;
                }
            }
        });
    }

    /// Counts and tells. For how long not to do that again.
    async fn tell(&self, app: &str, hub: &HubHandle, channel: &str) -> Duration {
        let app = self.apps.by_id(app);
        let Some(app) = app.filter(|app| app.rules.subscription_counts) else {
            return PAUSE;
        };
        let cluster = hub.cluster();
        let counted = cluster.group_len(channel).await;
        let count = counted.total;
        let frame = outgoing::subscription_count(channel, count);
        let told = cluster.emit_group(channel, dialect::frame(frame));
        self.webhooks.subscription_count(&app, channel, count);
        let mut missed = not_counted(&counted, channel);
        missed.extend(not_told(&told.await));
        let channel = ChannelChanged::new(&app.id, channel);
        self.owed.note(channel, missed, Instant::now());
        if count > MANY { LONG_PAUSE } else { PAUSE }
    }
}

/// The nodes that a count has missed, but for those that cannot count.
fn not_counted(counted: &Counted, channel: &str) -> Vec<Arc<str>> {
    let mut missed = Vec::new();
    for NodeCount { node, count, .. } in &counted.nodes {
        if let (Some(node), Err(why)) = (node, count) {
            tracing::debug!(%node, %why, channel, "the subscribers of a node were not counted");
            if *why != AskError::Unsupported {
                missed.push(Arc::clone(node));
            }
        }
    }
    missed
}

/// The nodes whose subscribers may not have been told.
fn not_told(told: &Summary) -> impl Iterator<Item = Arc<str>> {
    let missed = told.nodes.iter().filter(|part| part.outcome.is_err());
    missed.filter_map(|part| part.node.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_counts_until_nothing_changes_any_more() {
        let recent = Recent::default();
        let key = (HubName::of_app("1"), Box::from("a"));
        assert!(recent.note(&key));
        assert!(!recent.note(&key) && !recent.note(&key));
        assert!(recent.has_changed(&key));
        assert!(!recent.has_changed(&key));
        assert!(recent.0.lock().is_empty());
        assert!(recent.note(&key));
    }
}
