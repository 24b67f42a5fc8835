//! Wakes the poll to the microsecond: the poll's own timeout counts milliseconds, which would be
//! taken for latency.

use std::os::fd::{AsRawFd, OwnedFd};

use mio::{Interest, Poll, Token, unix::SourceFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::clock::{MILLISECOND, SECOND};

/// So short a wait is over before a timer would be set: the poll only looks.
const NOT_WORTH_IT: u64 = 20_000;

/// A timer that is an event of the poll.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: OwnedFd,
    /// What it is set to.
    until: u64,
}

impl Timer {
    pub(super) fn new(poll: &Poll, token: Token) -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // An expiry is never read: the poll reports edges, and setting it anew makes another.
        let mut source = SourceFd(&descriptor.as_raw_fd());
        poll.registry()
            .register(&mut source, token, Interest::READABLE)?;
        let until = 0;
        Ok(Self { descriptor, until })
    }

    /// Wakes the poll at `until`, which is `wait` away.
    pub(super) fn set(&mut self, until: u64, wait: u64) -> std::io::Result<()> {
        if wait < NOT_WORTH_IT || self.until == until {
            return Ok(());
        }
        self.until = until;
        let (seconds, rest) = (until / SECOND, until % SECOND);
        let at = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: seconds.cast_signed(),
                tv_nsec: rest.cast_signed(),
            },
        };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &at)?;
        Ok(())
    }

    /// How long the poll may wait where the timer will wake it.
    pub(super) fn round(wait: u64) -> u64 {
        match wait {
            ..NOT_WORTH_IT => 0,
            _ => wait + 10 * MILLISECOND,
        }
    }
}
