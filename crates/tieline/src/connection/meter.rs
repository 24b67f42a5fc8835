//! Token buckets for what one client sends.
//!
//! Owns how much may still come, and whom else to ask about it. Must not know connections or what happens to
//! excess. Invariants: over any time t, at most rate × (t + burst) is within the limit, beside one message that is
//! larger than a full bucket; what was excess counts too, so that a client which goes on gets nothing more through.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::inbound::{Excess, Inbound, InboundLimit, InboundVerdict};

/// The longest time that a bucket may take to fill, so that no sum of times overflows. An empty one takes a day
/// at most.
const MAX_DEBT: Duration = Duration::from_hours(48);

/// What one client has sent, against its limits and those that it shares with others.
pub(super) struct Meter {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    /// What happens to what is more than the buckets had.
    policy: Excess,
    shared: Option<Arc<dyn InboundLimit>>,
    /// When the shared limit lets through what was taken last.
    shared_at: Option<Instant>,
    /// What happens to what was taken last, if it was too much.
    excess: Option<Excess>,
}

/// A bucket, by the time at which it will be full: it needs no work while nothing is taken.
struct Bucket {
    /// Per second.
    rate: u32,
    /// How long an empty bucket takes to fill.
    burst: Duration,
    full_at: Instant,
}

impl Meter {
    /// A meter with full buckets; `None` without limits.
    pub(super) fn new(limits: &Inbound, shared: Option<Arc<dyn InboundLimit>>) -> Option<Self> {
        let now = Instant::now();
        let bucket = |rate| Bucket {
            rate,
            burst: limits.burst,
            full_at: now,
        };
        (limits.is_limited() || shared.is_some()).then(|| Self {
            messages: limits.messages.map(bucket),
            bytes: limits.bytes.map(bucket),
            policy: limits.excess,
            shared,
            shared_at: None,
            excess: None,
        })
    }

    /// Takes what has arrived.
    pub(super) fn take(&mut self, messages: usize, bytes: usize, now: Instant) {
        let take = |bucket: &mut Option<Bucket>, amount: usize| {
            let bucket = bucket.as_mut().filter(|_| amount > 0);
            bucket.is_some_and(|bucket| bucket.take(amount, now))
        };
        // Both, in any case.
        let is_excess = take(&mut self.messages, messages) | take(&mut self.bytes, bytes);
        self.excess = is_excess.then_some(self.policy);
        if let Some(shared) = &self.shared {
            self.shared_at = None;
            if let InboundVerdict::Excess { policy, wait } = shared.take(messages, bytes) {
                self.shared_at = Some(now + wait.min(MAX_DEBT));
                self.excess = Some(self.excess.map_or(policy, |own| stricter(own, policy)));
            }
        }
    }

    /// What happens to what was taken last, if it is more than there was.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.excess
    }

    /// When both buckets lack nothing, and others let it through.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        let buckets = [&self.messages, &self.bytes].into_iter().flatten();
        let own = buckets.filter_map(Bucket::ready_at).max();
        own.max(self.shared_at)
    }
}

fn stricter(one: Excess, other: Excess) -> Excess {
    match (one, other) {
        (Excess::Close, _) | (_, Excess::Close) => Excess::Close,
        (Excess::Ask, _) | (_, Excess::Ask) => Excess::Ask,
        _ => Excess::SlowDown,
    }
}

impl Bucket {
    fn take(&mut self, amount: usize, now: Instant) -> bool {
        let cost = self.time_for(amount);
        let missing = self.full_at.saturating_duration_since(now);
        let is_excess = missing + cost.min(self.burst) > self.burst;
        self.full_at = now + (missing + cost).min(MAX_DEBT);
        is_excess
    }

    fn ready_at(&self) -> Option<Instant> {
        self.full_at.checked_sub(self.burst)
    }

    /// How long this much takes to flow in.
    fn time_for(&self, amount: usize) -> Duration {
        let nanos = amount as u128 * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(MAX_DEBT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meter(messages: Option<u32>, bytes: Option<u32>, burst: Duration) -> Meter {
        let limits = Inbound {
            messages,
            bytes,
            burst,
            ..Inbound::default()
        };
        Meter::new(&limits, None).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn take(meter: &mut Meter, messages: usize, bytes: usize, now: Instant) -> bool {
        meter.take(messages, bytes, now);
        meter.excess().is_some()
    }

    #[test]
    fn a_burst_passes_and_one_more_is_too_much() {
        let mut meter = meter(Some(10), None, 2 * SECOND);
        let now = Instant::now();
        for _ in 0..20 {
            assert!(!take(&mut meter, 1, 1_000_000, now));
        }
        assert!(take(&mut meter, 1, 0, now));
        assert_eq!(meter.ready_at(), Some(now + SECOND / 10));
        assert!(!take(&mut meter, 0, 1_000_000, now), "bytes have no limit");
        assert!(!take(&mut meter, 1, 0, now + SECOND / 5));
    }

    #[test]
    fn a_message_larger_than_the_bucket_takes_a_full_one_and_leaves_a_debt() {
        let mut meter = meter(None, Some(1000), SECOND);
        let now = Instant::now();
        assert!(!take(&mut meter, 1, 5000, now));
        assert_eq!(meter.ready_at(), Some(now + 4 * SECOND));
        assert!(take(&mut meter, 1, 1, now + 4 * SECOND));
        assert!(!take(&mut meter, 1, 1, now + 5 * SECOND));
    }

    #[test]
    fn the_stricter_of_two_limits_decides() {
        let mut meter = meter(Some(1), Some(1000), SECOND);
        let now = Instant::now();
        assert!(!take(&mut meter, 1, 10, now));
        assert!(take(&mut meter, 1, 10, now));
        assert!(!take(&mut meter, 0, 900, now));
        assert!(take(&mut meter, 0, 900, now));
        assert_eq!(meter.ready_at(), Some(now + SECOND));
    }

    #[test]
    fn a_client_has_to_wait_whatever_the_burst() {
        let mut meter = meter(Some(1), None, 24 * 3600 * SECOND);
        let now = Instant::now();
        take(&mut meter, 24 * 3600 + 60, 0, now);
        assert_eq!(meter.ready_at(), Some(now + 60 * SECOND));
    }

    #[test]
    fn no_amount_overflows() {
        let mut meter = meter(Some(1), Some(1), Duration::from_hours(24));
        let mut now = Instant::now();
        for _ in 0..100 {
            take(&mut meter, usize::MAX, usize::MAX, now);
            now += Duration::from_hours(24);
        }
        assert!(meter.ready_at().is_some());
    }

    /// Says the same of everything.
    #[derive(Debug)]
    struct Always(Excess, Duration);

    impl InboundLimit for Always {
        fn take(&self, _: usize, _: usize) -> InboundVerdict {
            let Self(policy, wait) = *self;
            InboundVerdict::Excess { policy, wait }
        }
    }

    #[test]
    fn the_stricter_of_the_own_and_the_shared_limit_decides() {
        let now = Instant::now();
        for (own, shared, decides) in [
            (Excess::SlowDown, Excess::Close, Excess::Close),
            (Excess::Close, Excess::SlowDown, Excess::Close),
            (Excess::SlowDown, Excess::Ask, Excess::Ask),
            (Excess::SlowDown, Excess::SlowDown, Excess::SlowDown),
        ] {
            let limits = Inbound {
                messages: Some(1),
                excess: own,
                ..Inbound::default()
            };
            let shared = Arc::new(Always(shared, 5 * SECOND));
            let mut meter = Meter::new(&limits, Some(shared)).unwrap();
            meter.take(2, 0, now);
            meter.take(1, 0, now);
            assert_eq!(meter.excess(), Some(decides));
            assert_eq!(meter.ready_at(), Some(now + 5 * SECOND), "the longer time");
        }
    }

    proptest! {
        /// Against a bucket that holds tokens and is filled step by step.
        #[test]
        fn a_bucket_agrees_with_one_that_counts_tokens(
            rate in 1..1000_u32,
            burst in 1..20_u32,
            steps in prop::collection::vec((0..3000_u32, 1..50_u32), 1..100),
        ) {
            let mut meter = meter(Some(rate), None, burst * SECOND);
            let mut now = Instant::now();
            let capacity = f64::from(rate) * f64::from(burst);
            let mut tokens = capacity;
            for (pause, amount) in steps {
                now += Duration::from_millis(pause.into());
                tokens = (tokens + f64::from(rate) * f64::from(pause) / 1000.0).min(capacity);
                let needed = f64::from(amount).min(capacity);
                let margin = tokens - needed;
                tokens -= f64::from(amount);
                let is_excess = take(&mut meter, amount as usize, 0, now);
                // Rounding may decide at the edge.
                prop_assert!(margin.abs() < 1e-3 || is_excess == (margin < 0.0));
            }
        }
    }
}
