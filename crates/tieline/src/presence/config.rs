//! Settings, errors, what becomes of users who come and go, and what is answered about them.

use std::time::Duration;

use tieline_registry::{Cursor, MAX_INFO, Member, NameError, Position, RegistryError};

/// The longest time that can be set.
pub(super) const MAX_TIME: Duration = Duration::from_hours(24);

/// The settings of a [`Presence`](crate::Presence).
///
/// ```
/// use std::time::Duration;
/// use tieline::PresenceConfig;
///
/// let config = PresenceConfig {
///     grace: Duration::from_secs(5),
///     ..PresenceConfig::default()
/// };
/// assert_eq!(config.members, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceConfig {
    /// How long a user stays after a connection [ended](Exit::Disconnected), so that one who reconnects, or
    /// changes nodes, is not told to have gone and come. Default 0; at most a day. What it costs is that others see a
    /// user who has gone for as much longer, also after a crash.
    pub grace: Duration,
    /// How many members a group may have; a user beyond them is [refused](EnterOutcome::Full). Default: any number.
    /// Every follower of a group holds all its members: about 200 bytes and the information of each, and 64 with [`Presence::follow_by`](crate::Presence::follow_by).
    pub members: Option<u32>,
    /// How long [`Presence::enter`](crate::Presence::enter) waits for the registry. Default 250 ms, 0 to a day.
    pub enter_timeout: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            grace: Duration::ZERO,
            members: None,
            enter_timeout: Duration::from_millis(250),
        }
    }
}

impl PresenceConfig {
    pub(super) fn validate(&self) -> Result<(), PresenceError> {
        for (name, time) in [("grace", self.grace), ("enter_timeout", self.enter_timeout)] {
            if time > MAX_TIME {
                return Err(PresenceError::Time(name));
            }
        }
        if self.members == Some(0) {
            return Err(PresenceError::NoMembers);
        }
        Ok(())
    }
}

/// The limits of a handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) members: Option<u32>,
    pub(super) grace: Duration,
}

impl Limits {
    pub(super) fn of(config: &PresenceConfig) -> Self {
        Self {
            members: config.members,
            grace: config.grace,
        }
    }
}

/// What [`Presence`](crate::Presence) could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The registry keeps no rosters.
    #[error("this registry keeps no rosters; use Redis, etcd or the registry in memory")]
    Unsupported,
    /// A setting is longer than a day.
    #[error("`{0}` is longer than a day")]
    Time(&'static str),
    /// [`PresenceConfig::members`] is zero.
    #[error("`members` is zero, so nobody could enter; leave it out for any number")]
    NoMembers,
    /// A group or a user cannot have this name.
    #[error("the name of a group or user cannot be used")]
    Name(#[from] NameError),
    /// The information about a user is too long.
    #[error("the information about a user has {0} bytes; at most {MAX_INFO} are allowed")]
    Info(usize),
    /// The registry did not answer, or failed.
    #[error("the registry did not answer")]
    Registry(#[from] RegistryError),
    /// The node [drains](crate::Presence::drain).
    #[error("this node drains, and enters nobody any more")]
    Draining,
}

/// What became of a user who [enters](crate::Presence::enter) a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnterOutcome {
    /// The user is a member, and every follower is told.
    Entered,
    /// The registry has not answered in time, or is away. The user becomes a member when it does, unless the group is
    /// full then: it is asked again when another connection of the user comes to this node. In any case, call
    /// [`exit`](crate::Presence::exit) for it.
    Pending,
    /// The group has as many members as it may have. The user is none; do not call
    /// [`exit`](crate::Presence::exit) for it.
    Full,
}

/// Why a connection of a user is not in a group any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It has left the group. If it was the user's last in the cluster, the user is told to have gone at once.
    Left,
    /// It has ended. The user stays for [`PresenceConfig::grace`], in case another connection follows.
    Disconnected,
}

/// Some members of a group, from [`Presence::page`](crate::Presence::page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RosterPart {
    /// About a thousand. One may occur in two parts; one who is a member during the whole walk is in one at least.
    pub members: Vec<Member>,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<Cursor>,
    /// The end of the order of all changes when it was read.
    pub version: Position,
}
