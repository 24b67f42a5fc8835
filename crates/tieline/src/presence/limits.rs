//! How many members a group may have, and how long they stay, for what a handle enters.
//!
//! Invariant: the node's terms last for the longest grace of all handles, from the next beat on.

use std::time::Duration;

use super::{
    api::Presence,
    config::{Limits, MAX_TIME, PresenceError},
};

impl Presence {
    /// The same node and namespace with another maximum of [members](super::PresenceConfig::members) of a group; `None` for
    /// any number. It applies to users who [enter](Self::enter) by what this returns: each is entered if there are
    /// fewer members then, by whichever handle and on whichever node they came. Of connections of one user that wait
    /// at this node together, the widest limit decides for all: no limit refuses a further connection of a member.
    ///
    /// # Errors
    /// The maximum is zero.
    pub fn with_members(&self, members: Option<u32>) -> Result<Self, PresenceError> {
        if members == Some(0) {
            return Err(PresenceError::NoMembers);
        }
        let limits = Limits {
            members,
            ..self.limits
        };
        Ok(self.limited(limits))
    }

    /// The same node and namespace with another [grace](super::PresenceConfig::grace), which applies to
    /// [exits](super::Exit::Disconnected) by what this returns. When the node drains or dies, or the registry was away,
    /// the longest grace that any of its handles has had applies to all, a third of the lease after this call at the
    /// latest; on etcd, of those that there were when the node began.
    ///
    /// # Errors
    /// The grace is longer than a day.
    pub fn with_grace(&self, grace: Duration) -> Result<Self, PresenceError> {
        if grace > MAX_TIME {
            return Err(PresenceError::Time("grace"));
        }
        self.shared.note_grace(grace);
        let limits = Limits {
            grace,
            ..self.limits
        };
        Ok(self.limited(limits))
    }
}
