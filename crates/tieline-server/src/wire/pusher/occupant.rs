//! A subscription that others learn of, on channels that have no members.
//!
//! Owns that webhooks learn when a channel is occupied, and subscribers how many they are. Must not know frames, nor how
//! often that is told. Invariant: it counts until this is dropped, whatever ends the connection.

use std::sync::Arc;

use futures_util::FutureExt;
use tieline::Exit;

use super::{
    app::App,
    channel::{Channel, ChannelKind},
    counting::Counting,
    webhooks::Webhooks,
};
use crate::app::hubs::HubHandle;

/// A subscription that others learn of.
pub(super) struct Occupant {
    counting: Arc<Counting>,
    app: Arc<App>,
    hub: HubHandle,
    channel: Box<str>,
    /// How it ends to be in the roster; `None` if it is not in there.
    exit: Option<Exit>,
    is_counted: bool,
}

impl Occupant {
    /// A client has joined the group of a channel; `None` if nobody wants to know.
    pub(super) fn begin(
        counting: &Arc<Counting>,
        hub: &HubHandle,
        app: &Arc<App>,
        channel: Channel<'_>,
    ) -> Option<Box<Self>> {
        if !is_counted(channel.kind()) {
            return None;
        }
        let name = channel.name();
        let is_counted = app.rules.subscription_counts;
        let is_occupied = occupy(&counting.webhooks, hub, name);
        (is_counted || is_occupied).then(|| {
            let occupant = Self {
                counting: Arc::clone(counting),
                app: Arc::clone(app),
                hub: hub.clone(),
                channel: name.into(),
                exit: is_occupied.then_some(Exit::Disconnected),
                is_counted,
            };
            occupant.count();
            Box::new(occupant)
        })
    }

    /// Ends it at once, because the client has unsubscribed.
    pub(super) fn leave(mut self) {
        self.exit = self.exit.map(|_| Exit::Left);
    }

    fn count(&self) {
        if self.is_counted {
            self.counting.changed(&self.app, &self.hub, &self.channel);
        }
    }
}

/// Whether the subscribers of a channel of this kind are counted: those of others have members, or are one user.
pub(super) fn is_counted(kind: ChannelKind<'_>) -> bool {
    !matches!(kind, ChannelKind::Presence | ChannelKind::ToUser(_))
}

/// Whether the channel is occupied by one more from now on: only if a webhook wants to know.
fn occupy(webhooks: &Webhooks, hub: &HubHandle, channel: &str) -> bool {
    if !webhooks.want_occupancy(hub.name().as_str(), channel) {
        return false;
    }
    let Some(presence) = hub.presence() else {
        return false;
    };
    // It is entered at the first poll. The client does not wait for the registry: nobody asks how that went.
    !matches!(presence.occupy(channel).now_or_never(), Some(Err(_)))
}

impl Drop for Occupant {
    fn drop(&mut self) {
        if let Some(exit) = self.exit
            && let Some(presence) = self.hub.presence()
        {
            let presence = self.app.rules.members.of(presence);
            presence.vacate(&self.channel, exit);
        }
        self.count();
    }
}

impl std::fmt::Debug for Occupant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Occupant").field(&self.channel).finish()
    }
}
