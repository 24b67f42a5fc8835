//! What limits did, counted, and logged in samples.
//!
//! Owns the names of limits and of what they do, which stay the same when texts change. Must not know the limits.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::app::sampled::Sampled;

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Client,
    User,
    Address,
    Hub,
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limited {
    Connections,
    Connects,
    Messages,
    Bytes,
    MessageSize,
    Groups,
    Outbox,
    /// Of backends. Of an address: those that were not authorized.
    Requests,
}

/// What happens beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Refused,
    SlowedDown,
    Closed,
}

const SCOPES: usize = 4;
const LIMITED: usize = 8;
const ACTIONS: usize = 3;

/// How often each limit did what.
#[derive(Debug, Default)]
pub(crate) struct LimitCounts([[[Cell; ACTIONS]; LIMITED]; SCOPES]);

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    log: Sampled,
}

impl LimitCounts {
    /// What can happen, and how often it did: from the beginning, because what begins to count later has no rate at
    /// first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Scope, Limited, Action, u64)> {
        let limits = Scope::ALL.into_iter().flat_map(|scope| {
            let limits = Limited::ALL.into_iter();
            limits.flat_map(move |limited| {
                let actions = limited.actions(scope).iter();
                actions.map(move |action| (scope, limited, *action))
            })
        });
        limits.map(|(scope, limited, action)| {
            let cell = &self.0[scope as usize][limited as usize][action as usize];
            (scope, limited, action, cell.count.load(Ordering::Relaxed))
        })
    }

    /// Counts, and logs a sample. `who` says for whom, as far as the log is to say it.
    pub(crate) fn count(
        &self,
        scope: Scope,
        limited: Limited,
        action: Action,
        who: &impl fmt::Display,
    ) {
        let cell = &self.0[scope as usize][limited as usize][action as usize];
        let total = cell.count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(left_out) = cell.log.due() {
            let (limit, action) = (limited.name(), action.name());
            let scope = scope.name();
            tracing::warn!(scope, limit, action, %who, total, left_out, "beyond a limit");
        }
    }
}

impl Scope {
    const ALL: [Self; SCOPES] = [Self::Client, Self::User, Self::Address, Self::Hub];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::User => "user",
            Self::Address => "address",
            Self::Hub => "hub",
        }
    }
}

impl Limited {
    const ALL: [Self; LIMITED] = [
        Self::Connections,
        Self::Connects,
        Self::Messages,
        Self::Bytes,
        Self::MessageSize,
        Self::Groups,
        Self::Outbox,
        Self::Requests,
    ];

    /// What can happen beyond it.
    fn actions(self, scope: Scope) -> &'static [Action] {
        use Action::{Closed, Refused, SlowedDown};
        match (self, scope) {
            (Self::Messages | Self::Bytes, _) => &[Refused, SlowedDown, Closed],
            (Self::MessageSize | Self::Outbox, Scope::Client) => &[Closed],
            (Self::Groups, Scope::Client)
            | (Self::Connections, Scope::User | Scope::Address | Scope::Hub)
            | (Self::Requests, Scope::Address | Scope::Hub) => &[Refused],
            (Self::Connects, Scope::User | Scope::Address | Scope::Hub) => &[Refused, SlowedDown],
            _ => &[],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Connects => "connects",
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::MessageSize => "message_size",
            Self::Groups => "groups",
            Self::Outbox => "outbox",
            Self::Requests => "requests",
        }
    }
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::SlowedDown => "slowed_down",
            Self::Closed => "closed",
        }
    }
}
