//! The phases of the process, and how a drain is begun.

use tokio::sync::watch;

/// The phase of the process. It only advances:
///
/// ```text
/// Serving ── first signal ──▶ DrainDelay ── the delay is over ──▶ Draining
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ServingPhase {
    /// Clients are accepted.
    Serving,
    /// Clients are still accepted, but `/readyz` returns 503, so that load balancers stop sending them.
    DrainDelay,
    /// No clients are accepted, and connections are being closed.
    Draining,
}

/// Begins the drain of the process, for whatever reason.
#[derive(Clone)]
pub(super) struct DrainHandle(watch::Sender<ServingPhase>);

impl DrainHandle {
    pub(super) fn new(phase: watch::Sender<ServingPhase>) -> Self {
        Self(phase)
    }

    /// Begins the drain, unless it has begun already.
    pub(super) fn start(&self) {
        self.0.send_if_modified(|phase| {
            let begins = *phase == ServingPhase::Serving;
            if begins {
                *phase = ServingPhase::DrainDelay;
            }
            begins
        });
    }
}
