//! The presence channels that a client of another wire than Pusher Channels' is a member of.
//!
//! Owns that each membership ends once, and only when nobody waits for the registry's verdict on it any more: a verdict
//! that nobody has heard and an exit would both take back what was entered once. Must not know connections, nor when a
//! membership begins.

use std::sync::Arc;

use parking_lot::Mutex;
use tieline::Exit;

use super::hubs::HubHandle;

/// Begins the names of channels that have members.
pub(crate) const PRESENCE: &str = "presence-";

/// The presence channels that a client is a member of. Few have more than one.
#[derive(Default)]
pub(crate) struct Memberships(Vec<Arc<Membership>>);

/// What was entered. It is shared with whoever waits for the verdict, and exits with the last of both.
pub(super) struct Membership {
    hub: HubHandle,
    group: Box<str>,
    user: Box<str>,
    /// How it ends; `None` if it was refused.
    exit: Mutex<Option<Exit>>,
}

impl Memberships {
    pub(super) fn has(&self, group: &str) -> bool {
        self.place(group).is_some()
    }

    /// The client has been entered in a group that it was no member of.
    pub(super) fn add(&mut self, membership: Arc<Membership>) {
        self.0.push(membership);
    }

    /// The client is in a group no more.
    pub(super) fn leave(&mut self, group: &str) {
        if let Some(place) = self.place(group) {
            let left = self.0.swap_remove(place);
            *left.exit.lock() = Some(Exit::Left);
        }
    }

    /// Forgets one that was refused, and none that was added since to the same group.
    pub(super) fn refuse(&mut self, refused: &Arc<Membership>) {
        *refused.exit.lock() = None;
        self.0.retain(|own| !Arc::ptr_eq(own, refused));
    }

    fn place(&self, group: &str) -> Option<usize> {
        self.0.iter().position(|one| *one.group == *group)
    }
}

impl Membership {
    pub(super) fn new(hub: HubHandle, group: &str, user: &str) -> Self {
        Self {
            hub,
            group: group.into(),
            user: user.into(),
            exit: Mutex::new(Some(Exit::Disconnected)),
        }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(exit) = *self.exit.get_mut()
            && let Some(presence) = self.hub.presence()
        {
            // Without an app, the client was made to leave.
            let limits = self.hub.member_limits();
            let presence = limits.map_or_else(|| presence.clone(), |limits| limits.of(presence));
            presence.exit(&self.group, &self.user, exit);
        }
    }
}
