//! The webhooks of all apps.
//!
//! Owns which webhooks get an event. Must not know how it is sent. Invariant: a webhook that a reload leaves as it is
//! keeps what waits for it, and its order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    super::app::{App, LiveApps},
    event::{ClientEvent, Event, OF_CHANNELS},
    progress::Receipt,
    settings::WebhookSettings,
    webhook::Webhook,
};
use crate::{
    app::inspection::reports::HandlerReport, config::sections::pusher_webhooks::WebhookEvent,
    http_client::AuthorityError,
};

/// Between two looks whether all was sent.
const POLL: Duration = Duration::from_millis(20);

/// The webhooks of all apps at the moment: a reload replaces them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LiveWebhooks(Arc<Live>);

#[derive(Debug)]
struct Live {
    webhooks: ArcSwap<Index>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Index {
    all: Vec<Arc<Webhook>>,
    by_app: HashMap<String, Vec<Arc<Webhook>>>,
    by_hub: BTreeMap<String, Vec<Arc<Webhook>>>,
}

impl Index {
    fn new(all: Vec<Arc<Webhook>>) -> Self {
        let mut index = Self::default();
        for webhook in &all {
            let settings = &webhook.settings;
            let of_app = index.by_app.entry(settings.app.clone()).or_default();
            of_app.push(Arc::clone(webhook));
            let hub = settings.hub.as_str().to_owned();
            let of_hub = index.by_hub.entry(hub).or_default();
            of_hub.push(Arc::clone(webhook));
        }
        Self { all, ..index }
    }
}

impl LiveWebhooks {
    pub(crate) fn new(settings: Vec<WebhookSettings>) -> Result<Self, AuthorityError> {
        let webhooks = settings.into_iter();
        let webhooks = webhooks.map(|one| Webhook::new(one).map(Arc::new));
        let index = Index::new(webhooks.collect::<Result<_, _>>()?);
        Ok(Self(Arc::new(Live {
            webhooks: ArcSwap::from_pointee(index),
            changed: watch::Sender::new(()),
        })))
    }

    /// Gets the events from now on. Those that wait for webhooks that are not there any more are sent all the same;
    /// `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        let mut old = self.0.webhooks.load().all.clone();
        let mut keep = |new: &Arc<Webhook>| {
            let same = old.iter().position(|old| old.settings == new.settings);
            same.map_or_else(|| Arc::clone(new), |index| old.swap_remove(index))
        };
        let new = other.0.webhooks.load();
        let all = new.all.iter().map(&mut keep).collect();
        self.0.webhooks.store(Arc::new(Index::new(all)));
        self.0.changed.send_replace(());
    }

    /// How they are doing.
    pub(crate) fn report(&self) -> Vec<HandlerReport> {
        let webhooks = self.0.webhooks.load();
        webhooks
            .all
            .iter()
            .map(|webhook| webhook.report())
            .collect()
    }
}

/// What sends events to webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Webhooks {
    live: LiveWebhooks,
    apps: LiveApps,
}

impl Webhooks {
    /// `apps` sign.
    pub(crate) fn new(live: LiveWebhooks, apps: LiveApps) -> Self {
        Self { live, apps }
    }

    /// A client of this node has sent an event.
    pub(crate) fn client_event(&self, app: &App, event: ClientEvent<'_>) {
        let kind = WebhookEvent::ClientEvent;
        self.tell(app, kind, event.channel, || Event::of_client(event));
    }

    /// A client of this node has subscribed to a cache channel that has no event.
    pub(crate) fn cache_miss(&self, app: &App, channel: &str) {
        let kind = WebhookEvent::CacheMiss;
        self.tell(app, kind, channel, || Event::of_channel(kind, channel));
    }

    /// The number of subscriptions of a channel has changed. One node of the cluster says so.
    pub(crate) fn subscription_count(&self, app: &App, channel: &str, count: u64) {
        let kind = WebhookEvent::SubscriptionCount;
        self.tell(app, kind, channel, || Event::of_count(channel, count));
    }

    fn tell(&self, app: &App, kind: WebhookEvent, channel: &str, event: impl FnOnce() -> Event) {
        let webhooks = self.live.0.webhooks.load();
        let of_app = webhooks.by_app.get(&app.id);
        let wanting = of_app.into_iter().flatten();
        let mut wanting = wanting.filter(|one| one.wants(kind, channel)).peekable();
        if wanting.peek().is_some() {
            let event = event();
            wanting.for_each(|one| one.send(&self.apps, &event, None));
        }
    }

    /// Whether any webhook of a hub wants to know when this channel is occupied or vacated.
    pub(crate) fn want_occupancy(&self, hub: &str, channel: &str) -> bool {
        self.want_any(hub, OF_CHANNELS, channel)
    }

    /// Tells all apps of a hub.
    pub(super) fn tell_hub(&self, hub: &str, event: &Event, receipt: &Arc<Receipt>) {
        let webhooks = self.live.0.webhooks.load();
        let of_hub = webhooks.by_hub.get(hub).into_iter().flatten();
        for webhook in of_hub.filter(|one| one.wants(event.kind, &event.channel)) {
            webhook.send(&self.apps, event, Some(Arc::clone(receipt)));
        }
    }

    /// Tells one webhook.
    pub(super) fn tell_one(&self, webhook: &Arc<Webhook>, event: &Event, receipt: &Arc<Receipt>) {
        if webhook.wants(event.kind, &event.channel) {
            webhook.send(&self.apps, event, Some(Arc::clone(receipt)));
        }
    }

    /// The webhooks that want any of these events.
    pub(super) fn wanting(&self, kinds: &[WebhookEvent]) -> Vec<Arc<Webhook>> {
        let webhooks = self.live.0.webhooks.load();
        let wants =
            |one: &&Arc<Webhook>| kinds.iter().any(|kind| one.settings.events.contains(kind));
        webhooks.all.iter().filter(wants).cloned().collect()
    }

    /// Whether any webhook of a hub wants one of these events of a channel.
    pub(super) fn want_any(&self, hub: &str, kinds: [WebhookEvent; 2], channel: &str) -> bool {
        let webhooks = self.live.0.webhooks.load();
        let mut of_hub = webhooks.by_hub.get(hub).into_iter().flatten();
        of_hub.any(|one| kinds.iter().any(|kind| one.wants(*kind, channel)))
    }

    /// The hubs of whose webhooks any wants one of these events.
    pub(super) fn hubs_wanting(&self, kinds: &[WebhookEvent]) -> BTreeSet<String> {
        let webhooks = self.wanting(kinds).into_iter();
        webhooks
            .map(|one| one.settings.hub.as_str().to_owned())
            .collect()
    }

    /// Tells of each reload from now on.
    pub(super) fn reloads(&self) -> watch::Receiver<()> {
        self.live.0.changed.subscribe()
    }

    /// Waits until all was sent, but no longer than this. Whether it was.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        let is_idle = || {
            self.live
                .0
                .webhooks
                .load()
                .all
                .iter()
                .all(|one| one.is_idle())
        };
        let idle = async {
            while !is_idle() {
                sleep(POLL).await;
            }
        };
        timeout(limit, idle).await.is_ok()
    }
}
