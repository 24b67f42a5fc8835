//! Wakes the poll with microsecond precision. The timeout of the poll has milliseconds, which would show
//! as latency.
//!
//! Owns one timer in the poll, which is set to one time at once. Must not know what is due then.

use std::os::fd::{AsRawFd, OwnedFd};

use mio::{Interest, Poll, Token, unix::SourceFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::clock::{MILLISECOND, SECOND};

/// A shorter wait, in nanoseconds, is over before a timer is set, so the poll does not block.
const TOO_SHORT: u64 = 20_000;

/// A timer in the poll.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: OwnedFd,
    /// The time that it is set to.
    until: u64,
}

impl Timer {
    pub(super) fn new(poll: &Poll, token: Token) -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Expiries need no read: the poll is edge-triggered, and setting the timer again makes a new edge.
        let mut source = SourceFd(&descriptor.as_raw_fd());
        poll.registry()
            .register(&mut source, token, Interest::READABLE)?;
        let until = 0;
        Ok(Self { descriptor, until })
    }

    /// Wakes the poll at `until`, which is `wait` away.
    pub(super) fn set(&mut self, until: u64, wait: u64) -> std::io::Result<()> {
        if wait < TOO_SHORT || self.until == until {
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

    /// The timeout of the poll when the timer wakes it.
    pub(super) fn round(wait: u64) -> u64 {
        match wait {
            ..TOO_SHORT => 0,
            _ => wait + 10 * MILLISECOND,
        }
    }
}
