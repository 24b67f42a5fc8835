//! Whether the peer of a link is alive.
//!
//! Owns the judgement on silence. Must not know streams or clocks: times are handed in.
//!
//! Silence counts from the first thing sent that nothing has answered. Anything heard ends it, so a slow
//! answer to one message is no silence as long as pings are answered; a ping is sent only when something is
//! awaited and nothing came for a while, or when the link was idle.

use std::time::Duration;

use tokio::time::Instant;

/// A receipt is decided within a second, so a peer that is silent for longer helps nobody.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// Two pings' worth: a peer that takes nothing and answers this late is no busy one.
const SILENT_AFTER: Duration = Duration::from_millis(500);
/// Longer than a retransmission or two, a pause of a scheduler or a migrated virtual machine take.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// Well below [`SUSPECT_AFTER`], well above a round trip.
const PING_AWAITED: Duration = Duration::from_millis(250);
/// A dead peer of an idle link is found within 3 s, at half a ping a second.
const PING_IDLE: Duration = Duration::from_secs(2);

/// Signs of life, and their absence.
#[derive(Debug)]
pub(super) struct Liveness {
    heard: Instant,
    /// Since when something is unanswered.
    silent: Option<Instant>,
    /// Whether a ping was asked for since something was heard.
    pinged: bool,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            silent: None,
            pinged: false,
        }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.silent.get_or_insert(now);
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.silent = None;
        self.pinged = false;
    }

    /// A call that served as a ping was given up: another may go.
    pub(super) fn lost_ping(&mut self) {
        self.pinged = false;
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.silent.is_some()
    }

    /// Whether posts that nobody took have waited for a silent peer rather than for a slow one.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.silence(now) >= SILENT_AFTER
    }

    pub(super) fn is_suspect(&self, now: Instant) -> bool {
        self.silence(now) >= SUSPECT_AFTER
    }

    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.silence(now) >= DEAD_AFTER
    }

    fn silence(&self, now: Instant) -> Duration {
        self.silent
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether to send a ping now. It counts as sent: where the stream does not even take it, that is
    /// silence too.
    pub(super) fn wants_ping(&mut self, now: Instant, is_awaiting: bool) -> bool {
        let after = if is_awaiting { PING_AWAITED } else { PING_IDLE };
        if self.pinged || now.saturating_duration_since(self.heard) < after {
            return false;
        }
        self.pinged = true;
        self.sent(now);
        true
    }

    /// When an idle link wants its next ping.
    pub(super) fn next_ping(&self) -> Instant {
        self.heard + PING_IDLE
    }
}
