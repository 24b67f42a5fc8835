//! What the parts of the wire share: apps, hubs, and how many clients each app has here.
//!
//! Must not know frames or routes. Invariant: a client counts from its upgrade to its end, whatever becomes of the
//! settings meanwhile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::RequestError;

use super::{
    app::{App, LiveApps},
    counting::Counting,
    counting_node::ChannelChanged,
    dialect::PusherDialect,
    patience::Patience,
    presence::{Rooms, WatchedUsers},
    webhooks::Webhooks,
};
use crate::app::hubs::{HubHandle, Hubs};

/// How long a subscriber waits for the last event of its channel.
const PATIENCE: Duration = Duration::from_secs(1);

/// The wire of a node.
pub(crate) struct Pusher {
    pub(super) apps: LiveApps,
    pub(super) webhooks: Webhooks,
    pub(super) hubs: Hubs,
    pub(super) dialect: PusherDialect,
    pub(super) rooms: Rooms,
    pub(super) watched: WatchedUsers,
    pub(super) counting: Arc<Counting>,
    /// With the events of cache channels.
    pub(super) patience: Arc<Patience>,
    /// The number of clients of each app that has some, by its id.
    clients: Mutex<BTreeMap<String, usize>>,
}

/// A client's place in its app. It is free again when this is dropped.
pub(super) struct Place {
    pub(super) pusher: Arc<Pusher>,
    /// As it was at the upgrade.
    app: Arc<App>,
}

impl Pusher {
    pub(crate) fn new(
        (apps, webhooks): (LiveApps, Webhooks),
        hubs: Hubs,
        dialect: PusherDialect,
    ) -> Self {
        let counting = Counting::new(apps.clone(), webhooks.clone());
        Self {
            apps,
            webhooks,
            hubs,
            dialect,
            rooms: Rooms::default(),
            watched: WatchedUsers::default(),
            counting: Arc::new(counting),
            patience: Arc::new(Patience::new(PATIENCE)),
            clients: Mutex::default(),
        }
    }

    /// Counts the channels that other nodes have chosen this one for.
    pub(super) fn read_notices(self: &Arc<Self>) {
        let pusher = Arc::downgrade(self);
        self.hubs.notices().read_by(move |text| {
            let counted = pusher.upgrade().and_then(|pusher| {
                let changed = ChannelChanged::parse(text)?;
                // Where the app does not count, the other node does.
                let (app, hub) = pusher.counted(&changed.app)?;
                pusher.counting.count(&app, &hub, &changed.channel);
                Some(())
            });
            counted.ok_or_else(RequestError::unsupported)
        });
    }

    /// An app and its hub; `None` if the app, as it is here, does not count.
    pub(super) fn counted(&self, app: &str) -> Option<(Arc<App>, HubHandle)> {
        let app = self.apps.by_id(app)?;
        let app = Some(app).filter(|app| app.rules.subscription_counts)?;
        let hub = app.hub(&self.hubs)?.handle().clone();
        Some((app, hub))
    }

    /// A place in an app; `None` if it has as many clients here as it may.
    pub(super) fn place(self: &Arc<Self>, app: &Arc<App>) -> Option<Place> {
        let most = app.rules.max_connections.unwrap_or(usize::MAX);
        let mut clients = self.clients.lock();
        let count = clients.get(&app.id).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        clients.insert(app.id.clone(), count + 1);
        Some(Place {
            pusher: Arc::clone(self),
            app: Arc::clone(app),
        })
    }
}

impl Place {
    /// The app as it is now; `None` if it does not exist any more.
    pub(super) fn app(&self) -> Option<Arc<App>> {
        self.pusher.apps.by_id(&self.app.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.pusher.clients.lock();
        if let Some(count) = clients.get_mut(&self.app.id) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.app.id);
            }
        }
    }
}
