//! The users whom somebody at this node watches.
//!
//! Owns that each is followed once, however many watch. Must not know who watches.

use std::sync::Arc;

use tieline::Presence;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    app::{hubs::HubHandle, opened::Opened},
    config::hub_name::HubName,
};

/// The watched users of a node.
#[derive(Default)]
pub(in crate::wire::pusher) struct WatchedUsers(Opened<(HubName, Arc<str>), WatchedUser>);

/// A user whom somebody watches.
pub(super) struct WatchedUser {
    /// `None` until it is known.
    pub(super) is_online: watch::Receiver<Option<bool>>,
    _task: AbortOnDropHandle<()>,
}

impl WatchedUsers {
    /// A user of a hub; `None` if nobody can know who is online.
    pub(super) fn watch(&self, hub: &HubHandle, user: &Arc<str>) -> Option<Arc<WatchedUser>> {
        let presence = hub.presence()?;
        let key = (hub.name().clone(), Arc::clone(user));
        Some(self.0.get_or_open(key, || {
            let (sender, is_online) = watch::channel(None);
            let follow = follow(presence.clone(), Arc::clone(user), sender);
            Arc::new(WatchedUser {
                is_online,
                _task: AbortOnDropHandle::new(tokio::spawn(follow)),
            })
        }))
    }
}

async fn follow(presence: Presence, user: Arc<str>, is_online: watch::Sender<Option<bool>>) {
    let mut following = match presence.follow_user(&user).await {
        Ok(following) => following,
        Err(error) => {
            tracing::debug!(%error, "nobody is told whether a user is online");
            return;
        }
    };
    while let Some(now) = following.next().await {
        is_online.send_replace(Some(now));
    }
}
