//! Whether the peer of a link is alive.
//!
//! Owns the judgement of silence. Must not know streams or clocks: times are passed in.
//!
//! Silence is measured from the first thing sent since anything arrived. Anything that arrives ends it, so a
//! slow response to one request is not silence as long as pings are answered. A ping is sent only while a
//! response is awaited and nothing has arrived for a while, or when the link is idle.
//!
//! While this process is paused, nobody reads what has arrived: that time is no silence of the peer. It is
//! excused once in a silence, so that a dead peer is found by a busy node too.

use std::{num::NonZeroU64, time::Duration};

use tokio::time::Instant;

/// A receipt is decided within a second, so a peer that is silent for longer is of no use.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// Two awaited pings: a peer that accepts nothing and is silent for this long is not merely busy.
const UNRESPONSIVE_AFTER: Duration = Duration::from_millis(500);
/// Longer than a few retransmissions, a scheduler pause or the migration of a virtual machine.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// Well below [`SUSPECT_AFTER`], well above a round trip.
const PING_AWAITING: Duration = Duration::from_millis(250);
/// A process that looks this much later than it wanted was paused, and did not just have a lot to do.
const PAUSE: Duration = Duration::from_millis(250);
/// Detects the dead peer of an idle link within 3 s, at half a ping per second.
const PING_IDLE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Liveness {
    last_received: Instant,
    /// When the first thing was sent that nothing has arrived after.
    unanswered_since: Option<Instant>,
    ping: Ping,
    /// The number of the last ping.
    last_ping: u64,
    last_ping_at: Instant,
    /// How long the answer to the last answered ping took.
    round_trip: Option<Duration>,
    marked_suspect: bool,
    /// Whether a pause of this process was excused since anything arrived.
    pause_excused: bool,
}

/// The ping since something last arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    No,
    /// To be sent.
    Due,
    Sent,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last_received: now,
            unanswered_since: None,
            ping: Ping::No,
            last_ping: 0,
            last_ping_at: now,
            round_trip: None,
            marked_suspect: false,
            pause_excused: false,
        }
    }

    pub(super) fn on_sent(&mut self, now: Instant) {
        self.unanswered_since.get_or_insert(now);
    }

    /// Returns whether the peer was marked as suspect until now.
    pub(super) fn on_received(&mut self, now: Instant) -> bool {
        self.last_received = now;
        self.unanswered_since = None;
        self.ping = Ping::No;
        self.pause_excused = false;
        std::mem::take(&mut self.marked_suspect)
    }

    /// The link looked later than it wanted to. What arrived meanwhile may not have been read yet.
    pub(super) fn on_delay(&mut self, delay: Duration, now: Instant) {
        if delay < PAUSE || self.pause_excused {
            return;
        }
        if let Some(since) = &mut self.unanswered_since {
            *since = (*since + delay).min(now);
            self.pause_excused = true;
        }
    }

    /// A call that served as a ping failed: another may be sent.
    pub(super) fn on_ping_lost(&mut self) {
        if self.ping == Ping::Sent {
            self.ping = Ping::No;
        }
    }

    pub(super) fn is_awaiting(&self) -> bool {
        self.unanswered_since.is_some()
    }

    /// Whether requests wait because the peer is silent, rather than slow.
    pub(super) fn is_unresponsive(&self, now: Instant) -> bool {
        self.silence(now) >= UNRESPONSIVE_AFTER
    }

    pub(super) fn is_suspect(&self, now: Instant) -> bool {
        self.silence(now) >= SUSPECT_AFTER
    }

    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.silence(now) >= DEAD_AFTER
    }

    fn silence(&self, now: Instant) -> Duration {
        self.unanswered_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Marks the peer as suspect if it is. Returns whether it was not marked before.
    pub(super) fn mark_suspect(&mut self, now: Instant) -> bool {
        self.is_suspect(now) && !std::mem::replace(&mut self.marked_suspect, true)
    }

    pub(super) fn is_marked_suspect(&self) -> bool {
        self.marked_suspect
    }

    /// Makes a ping due if it is time for one, and returns whether it is. The ping counts as sent at once: if
    /// the stream does not even accept it, that is silence too.
    pub(super) fn schedule_ping(&mut self, now: Instant, is_awaiting: bool) -> bool {
        let after = if is_awaiting {
            PING_AWAITING
        } else {
            PING_IDLE
        };
        let is_early = now.saturating_duration_since(self.last_received) < after;
        if is_early || self.ping != Ping::No {
            return false;
        }
        self.ping = Ping::Due;
        self.on_sent(now);
        true
    }

    pub(super) fn is_ping_due(&self) -> bool {
        self.ping == Ping::Due
    }

    /// The number of the ping to send now, if one is due.
    pub(super) fn take_ping(&mut self, now: Instant) -> Option<NonZeroU64> {
        if self.ping != Ping::Due {
            return None;
        }
        self.ping = Ping::Sent;
        self.last_ping += 1;
        self.last_ping_at = now;
        NonZeroU64::new(self.last_ping)
    }

    /// The peer has answered the ping with this number.
    pub(super) fn on_pong(&mut self, number: u64, now: Instant) {
        if number == self.last_ping && number > 0 {
            self.round_trip = Some(now.saturating_duration_since(self.last_ping_at));
        }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When an idle link sends its next ping.
    pub(super) fn next_ping(&self) -> Instant {
        self.last_received + PING_IDLE
    }
}
