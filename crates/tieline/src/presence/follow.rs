//! Beginning to follow a group or a user.

use std::sync::{Arc, Weak};

use tieline_registry::{RosterKind, RosterName};
use tokio::sync::mpsc;

use super::{
    api::Presence,
    config::PresenceError,
    following::{Follower, Following, FollowingUser},
    subscribers::{Listener, QUEUE},
};

impl Presence {
    /// Follows the members of a group: all of them first, then every change. The first one takes a request to the
    /// registry, and one more for each thousand members.
    ///
    /// Every node that follows any group reads the changes of all groups: about 1 µs of Redis and 150 bytes for each.
    ///
    /// # Errors
    /// The name cannot be used.
    #[expect(
        clippy::unused_async,
        reason = "the first request may come to be waited for"
    )]
    pub async fn follow(&self, group: &str) -> Result<Following, PresenceError> {
        let roster = self.roster_of(RosterKind::Members, group)?;
        Ok(self.follow_roster(roster))
    }

    /// As [`follow`](Self::follow), for one who is called instead of a stream: it needs no task and no queue, and so
    /// takes little when many groups are followed, some 250 bytes for each. It follows until the last `Arc` of it is
    /// dropped, or the last handle of this.
    ///
    /// # Errors
    /// The name cannot be used.
    pub fn follow_by<F: Follower>(
        &self,
        group: &str,
        follower: &Arc<F>,
    ) -> Result<(), PresenceError> {
        let roster = self.roster_of(RosterKind::Members, group)?;
        let follower: Weak<F> = Arc::downgrade(follower);
        self.begin_to_follow(roster, Listener::Follower(follower));
        Ok(())
    }

    /// Follows whether a user is [signed in](Self::sign_in) anywhere: what is now, then every change. It costs as much
    /// as to follow a group of one.
    ///
    /// # Errors
    /// The name cannot be used.
    #[expect(
        clippy::unused_async,
        reason = "the first request may come to be waited for"
    )]
    pub async fn follow_user(&self, user: &str) -> Result<FollowingUser, PresenceError> {
        let roster = self.roster_of(RosterKind::Online, user)?;
        Ok(FollowingUser::new(self.follow_roster(roster)))
    }

    fn follow_roster(&self, roster: RosterName) -> Following {
        let (sender, changes) = mpsc::channel(QUEUE);
        self.begin_to_follow(roster, Listener::Stream(sender));
        Following {
            changes,
            is_stale: Arc::clone(&self.tasks.is_stale),
        }
    }

    fn begin_to_follow(&self, roster: RosterName, listener: Listener) {
        self.tasks.newcomers.add(roster, listener);
        self.shared.to_read.notify_one();
    }
}
