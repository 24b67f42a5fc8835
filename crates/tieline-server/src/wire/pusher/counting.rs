//! Tells the subscribers of a channel, and webhooks, how many they are.
//!
//! Owns how often. Must not know who subscribes. Invariants: the node where the number changes asks the others and tells
//! the subscribers of all nodes; what is told last was counted after the last change at this node; memory is bounded by
//! the channels that have changed in the last seconds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{runtime::Handle, time::sleep};

use super::{
    app::{App, LiveApps},
    dialect, outgoing,
    webhooks::Webhooks,
};
use crate::{app::hubs::HubHandle, config::hub_name::HubName};

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
    recent: Recent,
}

/// The channels that were counted lately or are now, and whether they have changed since.
#[derive(Debug, Default)]
struct Recent(Mutex<HashMap<Key, bool>>);

impl Recent {
    /// Notes a change. Whether somebody has to begin to count.
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
            recent: Recent::default(),
        }
    }

    /// The number of a channel's subscribers at this node has changed.
    pub(super) fn changed(self: &Arc<Self>, app: &Arc<App>, hub: &HubHandle, channel: &str) {
        let key = (hub.name().clone(), channel.into());
        // Without a runtime, the process ends.
        if let Ok(runtime) = Handle::try_current()
            && self.recent.note(&key)
        {
            let (counting, app, hub) = (Arc::clone(self), Arc::clone(app), hub.clone());
            runtime.spawn(async move {
                loop {
                    sleep(counting.tell(&app.id, &hub, &key.1).await).await;
                    if !counting.recent.has_changed(&key) {
                        return;
                    }
                }
            });
        }
    }

    /// Counts and tells. For how long not to do that again.
    async fn tell(&self, app: &str, hub: &HubHandle, channel: &str) -> Duration {
        let app = self.apps.by_id(app);
        let Some(app) = app.filter(|app| app.rules.subscription_counts) else {
            return PAUSE;
        };
        let cluster = hub.cluster();
        let counted = cluster.group_len(channel).await;
        for (node, why) in counted.missed() {
            tracing::debug!(node, %why, channel, "the subscribers of a node were not counted");
        }
        let count = counted.total;
        let frame = outgoing::subscription_count(channel, count);
        cluster.emit_group(channel, dialect::frame(frame));
        self.webhooks.subscription_count(&app, channel, count);
        if count > MANY { LONG_PAUSE } else { PAUSE }
    }
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
