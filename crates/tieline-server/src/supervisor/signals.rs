//! The signals of the process.
//!
//! Owns which signals there are, and counts those that end the process. Must not know what follows from one.
//! Invariant: a signal that comes before anybody waits for it is kept, from the moment that these are made.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of a server.
pub(crate) struct Signals {
    /// SIGHUP. Several that come before one is waited for are one.
    pub(super) hangup: Signal,
    pub(crate) stop: StopSignals,
}

/// SIGTERM and Ctrl+C. Several of a kind that come before one is waited for are one.
pub(crate) struct StopSignals {
    pub(crate) first: StopSignal,
    pub(super) second: StopSignal,
}

/// So many of them.
pub(crate) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    /// How many have not come yet.
    missing: u8,
}

impl Signals {
    /// Keeps signals from now on. Until then, each of them ends the process. To be called within a runtime.
    pub(crate) fn keep() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            stop: StopSignals::keep()?,
        })
    }
}

impl StopSignals {
    /// The same for these alone.
    pub(super) fn keep() -> io::Result<Self> {
        Ok(Self {
            first: StopSignal::after(1)?,
            second: StopSignal::after(2)?,
        })
    }
}

impl StopSignal {
    fn after(missing: u8) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            missing,
        })
    }

    /// Waits until so many have come. What was counted stays counted if this is dropped.
    pub(crate) async fn come(&mut self) {
        while self.missing > 0 {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            self.missing -= 1;
        }
    }
}
