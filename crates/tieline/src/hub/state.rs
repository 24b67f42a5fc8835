//! The state of a connection: its lifecycle, and what is going on in it.
//!
//! Owns two fields that the senders, the connection's task and the keepalive share. Must not know sockets
//! or queues. Invariant: the lifecycle only grows, and every step is taken once.
//!
//! ```text
//!  +------+  close, behind queued broadcasts   +----------------+
//!  | Open |----------------------------------->| CloseRequested |--------+
//!  +------+                                    +----------------+        |
//!     |                                                | its turn         |
//!     |                                                | in the queue     |
//!     |  close, nothing queued before it       +-------v--------+         |
//!     +--------------------------------------->|    Closing     |------+  |
//!     |                                        +----------------+      |  | I/O error
//!     |                                                | I/O error,    |  |
//!     |                                                | or no time    |  |
//!     |                                                | to wait       |  |
//!     |  I/O error                             +-------v--------+      |  |
//!     +--------------------------------------->|    Aborted     |<--------+
//!     |                                        +----------------+      |
//!     |                                                | the task      |
//!     |                                                | has ended     | the close handshake
//!     |  the upgrade failed                    +-------v--------+      | is complete, or
//!     +--------------------------------------->|     Ended      |<-----+ timed out
//!                                              +----------------+
//! ```
//!
//! Any state may skip those between it and its target; [`StateCell::advance`] ignores a step back.
//!
//! # Two fields suffice
//!
//! Nobody can load both fields at once, and nobody needs to:
//!
//! - `Closing`, `Aborted`, `Ended`, `WRITE_PENDING`, `TRIED_FULL`, `LISTED`, `ROOM_AWAITED`, `STREAMING` and `OBSERVED` are entered, set and
//!   cleared with the send side locked. While the lock is held, to enqueue, to flush or to write a batch to the socket, none
//!   of them changes.
//! - The keepalive holds no lock. It loads the activity first and the lifecycle second. The lifecycle only
//!   grows: a connection that is not closing at the second load was not closing at the first, so both
//!   values held at the time of the first. What follows from them, a ping or a close, checks the
//!   lifecycle again under the lock.
//! - The task is woken after each change that concerns it, and reads both fields in any order: what it
//!   misses in this poll it finds in the next.
//!
//! Every write is an `AcqRel` read-modify-write and every load an `Acquire`, so a thread that
//! sees a change of one field also sees what was done to the other before.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

/// The lifecycle of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Lifecycle {
    /// Frames are queued and messages are handled; the upgrade may still be in progress.
    Open,
    /// A close waits in the shard's queue, behind broadcasts that were sent before it.
    CloseRequested,
    /// The close has begun: the reason is stored, the close frame is queued behind what was sent before,
    /// and nothing more is queued.
    Closing,
    /// The connection ends without waiting for the client: the reason is stored, and the task ends at its
    /// next poll.
    Aborted,
    /// The task has ended; socket and outbox are gone.
    Ended,
}

impl Lifecycle {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Open,
            1 => Self::CloseRequested,
            2 => Self::Closing,
            3 => Self::Aborted,
            _ => Self::Ended,
        }
    }
}

/// What is going on in a connection; a set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activity(u16);

impl Activity {
    /// Frames wait for the task: the socket is full, or only the task may write to it.
    pub(super) const WRITE_PENDING: Self = Self(1);
    /// The task's writer took nothing at the last attempt.
    pub(super) const WRITE_STALLED: Self = Self(1 << 1);
    /// A callback is waiting; nothing is read, so silence does not count.
    pub(super) const HANDLER_RUNNING: Self = Self(1 << 2);
    /// A message has begun and is not complete.
    pub(super) const MESSAGE_PARTIAL: Self = Self(1 << 3);
    /// A ping was sent, and the client has been silent since.
    pub(super) const PING_SENT: Self = Self(1 << 4);
    /// The client has been silent for too long, as far as the keepalive can see. The task looks at the
    /// socket and decides.
    pub(super) const SUSPECTED: Self = Self(1 << 5);
    /// The task's writer took too little at the last attempt, and the outbox is still full.
    pub(super) const TRIED_FULL: Self = Self(1 << 6);
    /// The outbox is half full, so the client is not read from.
    pub(super) const READ_PAUSED: Self = Self(1 << 7);

    /// It is to be flushed when a worker's tick ends.
    pub(super) const LISTED: Self = Self(1 << 8);
    /// Its task runs on the runtime that drives the hub's ticks.
    pub(super) const HAS_TICKS: Self = Self(1 << 9);
    /// Somebody waits for room in the outbox.
    pub(super) const ROOM_AWAITED: Self = Self(1 << 10);

    /// Somebody waits for room, and the socket takes nothing. Who was told of room and does not ask for it waits
    /// for himself.
    pub(super) const STALLED_SENDER: Self = Self(Self::ROOM_AWAITED.0 | Self::WRITE_PENDING.0);
    /// The client negotiated compression. Set once: here it takes no room.
    pub(super) const TAKES_DEFLATE: Self = Self(1 << 11);

    /// A message is being sent in pieces, and others wait behind it.
    pub(super) const STREAMING: Self = Self(1 << 12);

    /// Somebody observes the frames in both directions.
    pub(super) const OBSERVED: Self = Self(1 << 13);

    /// Bytes may not go straight to the socket: others wait, or each frame is looked at.
    pub(super) const NEEDS_OUTBOX: Self =
        Self(Self::WRITE_PENDING.0 | Self::STREAMING.0 | Self::OBSERVED.0);

    /// Whether all of these flags are set.
    pub(super) fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether one of these flags is set.
    pub(super) fn intersects(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }
}

/// The shared state of a connection. It fills a gap of its structure.
#[derive(Debug)]
pub(super) struct StateCell {
    activity: AtomicU16,
    lifecycle: AtomicU8,
}

impl StateCell {
    pub(super) fn new() -> Self {
        Self {
            activity: AtomicU16::new(0),
            lifecycle: AtomicU8::new(Lifecycle::Open as u8),
        }
    }

    pub(super) fn lifecycle(&self) -> Lifecycle {
        Lifecycle::from_u8(self.lifecycle.load(Ordering::Acquire))
    }

    /// Whether the lifecycle has come this far.
    pub(super) fn reached(&self, lifecycle: Lifecycle) -> bool {
        self.lifecycle.load(Ordering::Acquire) >= lifecycle as u8
    }

    /// Moves the lifecycle on, unless it is there or further; returns what it was before.
    pub(super) fn advance(&self, to: Lifecycle) -> Lifecycle {
        Lifecycle::from_u8(self.lifecycle.fetch_max(to as u8, Ordering::AcqRel))
    }

    pub(super) fn activity(&self) -> Activity {
        Activity(self.activity.load(Ordering::Acquire))
    }

    pub(super) fn is(&self, flags: Activity) -> bool {
        self.activity().contains(flags)
    }

    pub(super) fn set(&self, flags: Activity, on: bool) {
        if on {
            self.activity.fetch_or(flags.0, Ordering::AcqRel);
        } else {
            self.activity.fetch_and(!flags.0, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFECYCLES: [Lifecycle; 5] = [
        Lifecycle::Open,
        Lifecycle::CloseRequested,
        Lifecycle::Closing,
        Lifecycle::Aborted,
        Lifecycle::Ended,
    ];

    const FLAGS: [Activity; 14] = [
        Activity::WRITE_PENDING,
        Activity::WRITE_STALLED,
        Activity::HANDLER_RUNNING,
        Activity::MESSAGE_PARTIAL,
        Activity::PING_SENT,
        Activity::SUSPECTED,
        Activity::TRIED_FULL,
        Activity::READ_PAUSED,
        Activity::LISTED,
        Activity::HAS_TICKS,
        Activity::ROOM_AWAITED,
        Activity::TAKES_DEFLATE,
        Activity::STREAMING,
        Activity::OBSERVED,
    ];

    fn in_state(lifecycle: Lifecycle) -> StateCell {
        let state = StateCell::new();
        state.advance(lifecycle);
        state
    }

    #[test]
    fn a_connection_begins_open_and_idle() {
        let state = StateCell::new();
        assert_eq!(state.lifecycle(), Lifecycle::Open);
        assert_eq!(state.activity(), Activity(0));
    }

    #[test]
    fn every_step_yields_the_state_before_and_none_leads_back() {
        for from in LIFECYCLES {
            for to in LIFECYCLES {
                let state = in_state(from);
                assert_eq!(state.advance(to), from, "{from:?} to {to:?}");
                assert_eq!(state.lifecycle(), from.max(to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_state_has_reached_itself_and_all_before_it() {
        for (i, at) in LIFECYCLES.into_iter().enumerate() {
            for (j, lifecycle) in LIFECYCLES.into_iter().enumerate() {
                assert_eq!(in_state(at).reached(lifecycle), j <= i);
            }
        }
    }

    #[test]
    fn of_several_who_take_a_step_one_sees_the_state_before_it() {
        for from in LIFECYCLES {
            for to in LIFECYCLES.into_iter().filter(|to| *to > from) {
                let state = in_state(from);
                let firsts = std::thread::scope(|scope| {
                    let advance = || scope.spawn(|| state.advance(to) == from);
                    let threads: Vec<_> = (0..4).map(|_| advance()).collect();
                    let firsts = threads.into_iter().map(|thread| thread.join().unwrap());
                    firsts.filter(|first| *first).count()
                });
                assert_eq!(firsts, 1, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn flags_leave_the_lifecycle_and_each_other_alone() {
        for lifecycle in LIFECYCLES {
            let state = in_state(lifecycle);
            for set in 0..1_u16 << FLAGS.len() {
                let is_set = |i: usize| set & 1 << i != 0;
                for (i, flag) in FLAGS.into_iter().enumerate() {
                    state.set(flag, is_set(i));
                }
                for (i, flag) in FLAGS.into_iter().enumerate() {
                    assert_eq!(state.is(flag), is_set(i));
                }
                assert_eq!(state.lifecycle(), lifecycle);
            }
        }
    }

    #[test]
    fn the_lifecycle_leaves_the_flags_alone() {
        for set in FLAGS {
            for to in LIFECYCLES {
                let state = StateCell::new();
                state.set(set, true);
                state.advance(to);
                for flag in FLAGS {
                    assert_eq!(state.is(flag), flag == set);
                }
            }
        }
    }
}
