//! The presence channels that somebody at this node is subscribed to.
//!
//! Owns that each is followed once, and that what its roster tells reaches the subscribers. Invariant: what is told
//! and who subscribes happen one after the other, under the lock of the room, so that a snapshot and what is told
//! later fit.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tieline::{Connection, Exit, JoinError, Presence};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    member::Member,
    room::{Room, Telling, Told},
};
use crate::{
    app::{hubs::HubHandle, opened::Opened},
    config::hub_name::HubName,
    wire::pusher::{dialect, outgoing},
};

/// How long a subscriber waits to learn who else is there. While the registry is away, it learns that later.
const PATIENCE: Duration = Duration::from_secs(1);

/// The rooms of a node.
#[derive(Default)]
pub(in crate::wire::pusher) struct Rooms(Opened<(HubName, Box<str>), OpenRoom>);

/// A presence channel that somebody here is subscribed to.
pub(super) struct OpenRoom {
    channel: Box<str>,
    hub: HubHandle,
    presence: Presence,
    room: Mutex<Room>,
    /// Whether the members are known.
    is_read: watch::Sender<bool>,
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Rooms {
    /// The room of a channel; `None` if nobody can know who is there.
    pub(super) fn open(&self, hub: &HubHandle, channel: &str) -> Option<Arc<OpenRoom>> {
        let presence = hub.presence()?;
        let key = (hub.name().clone(), Box::from(channel));
        Some(
            self.0
                .get_or_open(key, || OpenRoom::start(hub, presence, channel)),
        )
    }
}

impl OpenRoom {
    fn start(hub: &HubHandle, presence: &Presence, channel: &str) -> Arc<Self> {
        let room = Arc::new(Self {
            channel: channel.into(),
            hub: hub.clone(),
            presence: presence.clone(),
            room: Mutex::default(),
            is_read: watch::Sender::new(false),
            task: Mutex::default(),
        });
        let follow = follow(presence.clone(), channel.to_owned(), Arc::downgrade(&room));
        *room.task.lock() = Some(AbortOnDropHandle::new(tokio::spawn(follow)));
        room
    }

    pub(super) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Waits until the members are known, but not for long.
    pub(super) async fn read(&self) {
        let mut is_read = self.is_read.subscribe();
        let waited = timeout(PATIENCE, is_read.wait_for(|is_read| *is_read)).await;
        if waited.is_err() {
            tracing::debug!(channel = %self.channel, "subscribed before the members are known");
        }
    }

    /// What others know of a member, or else what it says of itself: while it is one, that does not change.
    pub(super) fn known(&self, member: Member) -> Member {
        let info = self.room.lock().info_of(&member.id).cloned();
        match info {
            Some(info) => Member { info, ..member },
            None => member,
        }
    }

    /// Joins the group. The data of the answer: all members.
    pub(super) fn join(
        &self,
        connection: &Connection,
        member: &Member,
    ) -> Result<String, JoinError> {
        let mut room = self.room.lock();
        connection.join(&self.channel)?;
        Ok(room.subscribe(connection.id().clone(), member))
    }

    /// The subscriber is none any more.
    pub(super) fn leave(
        &self,
        id: &tieline::ClientId,
        user: &str,
        (exit, grace): (Exit, Duration),
    ) {
        self.room.lock().unsubscribe(id, user);
        if let Ok(presence) = self.presence.with_grace(grace) {
            presence.exit(&self.channel, user, exit);
        }
    }

    fn tell(&self, telling: &Telling) {
        let frame = match &telling.what {
            Told::Added(member) => outgoing::member_added(&self.channel, &member.id, member.json()),
            Told::Removed(user) => outgoing::member_removed(&self.channel, user),
        };
        // Each node tells its own.
        let hub = self.hub.cluster().hub();
        let others = hub.except(&telling.except);
        others.emit_group(&self.channel, dialect::frame(frame));
    }
}

/// Tells the subscribers what the roster tells, until nobody has the room any more.
async fn follow(presence: Presence, channel: String, room: Weak<OpenRoom>) {
    let mut following = match presence.follow(&channel).await {
        Ok(following) => following,
        Err(error) => {
            tracing::debug!(%error, channel, "nobody is told who is there");
            return;
        }
    };
    while let Some(change) = following.next().await {
        let Some(open) = room.upgrade() else { return };
        let mut room = open.room.lock();
        room.change(change)
            .iter()
            .for_each(|telling| open.tell(telling));
        drop(room);
        open.is_read.send_replace(true);
    }
}
