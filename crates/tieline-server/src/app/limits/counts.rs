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
}

/// What happens beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Refused,
    SlowedDown,
    Closed,
}

const SCOPES: usize = 4;
const LIMITED: usize = 7;
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
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Connects => "connects",
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::MessageSize => "message_size",
            Self::Groups => "groups",
            Self::Outbox => "outbox",
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
