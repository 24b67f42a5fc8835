//! The presence channels that somebody at this node is subscribed to.
//!
//! Owns that each is followed once, and that what its roster tells reaches the subscribers. Invariant: what is told
//! and who subscribes happen one after the other, under the lock of the room, so that a snapshot and what is told
//! later fit.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{Change, ClientId, Connection, Exit, Follower, JoinError, Presence};
use tokio::{sync::Notify, time::timeout};

use super::{
    member::Member,
    room::{Room, Telling, Told},
};
use crate::{
    app::{hubs::HubHandle, opened::Opened},
    wire::pusher::{dialect, outgoing, patience::Patience},
};

/// How long a subscriber waits to learn who else is there. While the registry is away, it learns that later.
const PATIENCE: Duration = Duration::from_secs(1);

/// The rooms of a node, by hub and channel.
pub(in crate::wire::pusher) struct Rooms {
    open: Opened<Arc<str>, OpenRoom>,
    patience: Arc<Patience>,
}

/// A presence channel that somebody here is subscribed to: it is followed for as long as it is open.
pub(super) struct OpenRoom {
    /// The name of the hub, a NUL, which no hub has in its name, and the channel.
    key: Arc<str>,
    hub: HubHandle,
    /// Of all rooms: they are read from one registry.
    patience: Arc<Patience>,
    room: Mutex<Room>,
    /// The members have become known.
    is_read: Notify,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            open: Opened::default(),
            patience: Arc::new(Patience::new(PATIENCE)),
        }
    }
}

impl Rooms {
    /// The room of a channel, and who keeps its members; `None` if nobody can know who is there.
    pub(super) fn open<'a>(
        &self,
        hub: &'a HubHandle,
        channel: &str,
    ) -> Option<(Arc<OpenRoom>, &'a Presence)> {
        let presence = hub.presence()?;
        let key: Arc<str> = format!("{}\0{channel}", hub.name().as_str()).into();
        let room = self.open.get_or_open(Arc::clone(&key), || {
            let room = Arc::new(OpenRoom {
                key,
                hub: hub.clone(),
                patience: Arc::clone(&self.patience),
                room: Mutex::default(),
                is_read: Notify::new(),
            });
            if let Err(error) = presence.follow_by(channel, &room) {
                tracing::debug!(%error, channel, "nobody is told who is there");
            }
            room
        });
        Some((room, presence))
    }
}

impl OpenRoom {
    pub(super) fn channel(&self) -> &str {
        &self.key[self.hub.name().as_str().len() + 1..]
    }

    /// Waits until the members are known, but not for long.
    pub(super) async fn read(&self) {
        // Before the look at the room: who waits is told of what comes after this.
        let is_read = self.is_read.notified();
        if self.room.lock().is_read() {
            return;
        }
        if timeout(self.patience.limit(), is_read).await.is_err() {
            self.patience.runs_out();
            let channel = self.channel();
            tracing::debug!(channel, "subscribed before the members are known");
        }
    }

    /// Joins the group. The data of the answer: all members.
    pub(super) fn join(
        &self,
        connection: &Connection,
        member: &Member,
    ) -> Result<String, JoinError> {
        let mut room = self.room.lock();
        connection.join(self.channel())?;
        Ok(room.subscribe(connection.id().clone(), member))
    }

    /// The subscriber is none any more.
    pub(super) fn leave(&self, id: &ClientId, user: &str, (exit, grace): (Exit, Duration)) {
        self.room.lock().unsubscribe(id, user);
        let presence = self.hub.presence();
        if let Some(Ok(presence)) = presence.map(|presence| presence.with_grace(grace)) {
            presence.exit(self.channel(), user, exit);
        }
    }

    fn tell(&self, telling: &Telling) {
        let channel = self.channel();
        let frame = match &telling.what {
            Told::Added(member) => outgoing::member_added(channel, &member.id, member.json()),
            Told::Removed(user) => outgoing::member_removed(channel, user),
        };
        // Each node tells its own.
        let hub = self.hub.cluster().hub();
        let others = hub.except(&telling.except);
        others.emit_group(channel, dialect::frame(frame));
    }
}

impl Follower for OpenRoom {
    fn on_change(&self, change: &Change) {
        let mut room = self.room.lock();
        let tellings = room.change(change);
        tellings.iter().for_each(|telling| self.tell(telling));
        drop(room);
        self.patience.answered();
        self.is_read.notify_waiters();
    }
}
