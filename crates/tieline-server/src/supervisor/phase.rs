//! The phases of the process.

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
