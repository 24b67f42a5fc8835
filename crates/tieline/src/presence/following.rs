//! What follows of one group: all members, then every change, as a stream or for one who is called; and of one user:
//! whether it is signed in.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_core::Stream;
use tieline_registry::{Member, Position, TransitionKind, roster_view::Transition};
use tokio::sync::mpsc;

/// What a follower of a group is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// All members. It comes first, and again if the follower has fallen behind by more than 256 changes.
    Snapshot {
        /// In no particular order.
        members: Arc<[Member]>,
        /// The place in the order of all changes at which they are the members.
        version: Position,
    },
    /// What has changed since, in order: each changes what was told before. About 20 such messages a second at most,
    /// however many users come and go.
    Transitions {
        /// One or more.
        transitions: Arc<[Transition]>,
        /// The place after the last of them.
        version: Position,
    },
}

/// Is told about the group that it follows by [`Presence::follow_by`](crate::Presence::follow_by). A change does not
/// say of which group it is: make one for each. Whether what was told may be out of date,
/// [`Presence::is_stale`](crate::Presence::is_stale) says.
pub trait Follower: Send + Sync + 'static {
    /// What has changed: first a snapshot, then every change after it. Calls come one after the other, from the task
    /// that tells all followers of the node. So it must not block, nor take long: leave that to a task of yours. A
    /// panic is logged, and that change is not told again.
    fn on_change(&self, change: &Change);
}

/// Follows one group: a stream of [`Change`], from [`Presence::follow`](crate::Presence::follow). Dropped, it ends.
pub struct Following {
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) is_stale: Arc<AtomicBool>,
}

impl Following {
    /// The next change; `None` once the last handle of the [`Presence`](crate::Presence) is dropped. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// Whether what was told may be out of date: the registry does not answer, or has lost data and not everybody had
    /// the time to enter again.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Relaxed)
    }
}

impl Stream for Following {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.changes.poll_recv(cx)
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("is_stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}

/// Follows whether a user is signed in anywhere, from [`Presence::follow_user`](crate::Presence::follow_user). Dropped,
/// it ends.
#[derive(Debug)]
pub struct FollowingUser {
    changes: Following,
    was_online: Option<bool>,
}

impl FollowingUser {
    pub(super) fn new(changes: Following) -> Self {
        Self {
            changes,
            was_online: None,
        }
    }

    /// Whether the user is signed in: first what is now, then each change. `None` once the last handle of the
    /// [`Presence`](crate::Presence) is dropped. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<bool> {
        loop {
            let is_online = match self.changes.next().await? {
                Change::Snapshot { members, .. } => Some(!members.is_empty()),
                Change::Transitions { transitions, .. } => transitions.last().map(is_there),
            };
            if let Some(is_online) = is_online.filter(|now| self.was_online != Some(*now)) {
                self.was_online = Some(is_online);
                return Some(is_online);
            }
        }
    }

    /// Whether what was told may be out of date, as [`Following::is_stale`].
    pub fn is_stale(&self) -> bool {
        self.changes.is_stale()
    }
}

fn is_there(transition: &Transition) -> bool {
    transition.kind != TransitionKind::Left
}
