//! A token bucket that many connections share.
//!
//! Owns how much may still come. Must not know of what. Invariants: it is one word, which is full again by itself;
//! over any time t, at most rate × (t + burst) is taken without a wait, beside one amount that is larger than a
//! full bucket; a wait is never longer than whoever takes allows.

use std::{
    num::NonZeroU32,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What the times of buckets count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How fast a bucket fills, and how much is in a full one: what comes in `burst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: NonZeroU32,
    pub(crate) burst: Duration,
}

/// What there was of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Now,
    /// It is taken, and flows in within this time.
    After(Duration),
    /// That would take this long. Nothing is taken.
    Refused(Duration),
}

/// The moment at which the bucket is full, in nanoseconds. A new one is full.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes an amount, if it is there or flows in within `longest`.
    pub(crate) fn take(&self, amount: usize, rate: Rate, longest: Duration, now: Instant) -> Taken {
        let now = moment(now);
        let (cost, burst) = (rate.time_for(amount), nanos(rate.burst));
        let mut full_at = self.0.load(Ordering::Relaxed);
        loop {
            let missing = full_at.saturating_sub(now);
            let lacks = lacking(missing, cost, burst);
            let wait = Duration::from_nanos(lacks);
            if wait > longest {
                return Taken::Refused(wait);
            }
            let next = now.saturating_add(missing).saturating_add(cost);
            let set =
                self.0
                    .compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed);
            match set {
                Ok(_) if lacks == 0 => return Taken::Now,
                Ok(_) => return Taken::After(wait),
                Err(current) => full_at = current,
            }
        }
    }

    /// How long it takes until an amount is there; `None` if it is. Takes nothing.
    pub(super) fn lacks(&self, amount: usize, rate: Rate, now: Instant) -> Option<Duration> {
        let missing = self.0.load(Ordering::Relaxed).saturating_sub(moment(now));
        let lacks = lacking(missing, rate.time_for(amount), nanos(rate.burst));
        (lacks > 0).then(|| Duration::from_nanos(lacks))
    }

    /// Whether a new bucket would say the same.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.0.load(Ordering::Relaxed) <= moment(now)
    }
}

impl Rate {
    /// Zero is refused where it is set; here it would be no limit.
    pub(super) fn of(per_second: Option<u32>, burst: Duration) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second?)?;
        Some(Self { per_second, burst })
    }

    fn time_for(self, amount: usize) -> u64 {
        let nanos = amount as u128 * 1_000_000_000 / u128::from(self.per_second.get());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// What has to flow in before an amount can be taken: at most a full bucket is asked for.
fn lacking(missing: u64, cost: u64, burst: u64) -> u64 {
    missing
        .saturating_add(cost.min(burst))
        .saturating_sub(burst)
}

fn moment(at: Instant) -> u64 {
    nanos(at.saturating_duration_since(*START))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(per_second: u32, burst: Duration) -> Rate {
        Rate {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst,
        }
    }

    #[test]
    fn a_burst_passes_and_what_is_refused_takes_nothing() {
        let (bucket, rate, now) = (Bucket::default(), rate(10, 2 * SECOND), *START);
        let take = |longest, now| bucket.take(1, rate, longest, now);
        for _ in 0..20 {
            assert_eq!(take(Duration::ZERO, now), Taken::Now);
        }
        for _ in 0..3 {
            assert_eq!(take(Duration::ZERO, now), Taken::Refused(SECOND / 10));
        }
        assert_eq!(take(SECOND, now), Taken::After(SECOND / 10));
        assert_eq!(
            take(SECOND, now),
            Taken::After(SECOND / 5),
            "each has its turn"
        );
        assert!(!bucket.is_full(now + 2 * SECOND));
        assert!(bucket.is_full(now + 3 * SECOND));
        assert_eq!(take(Duration::ZERO, now + SECOND), Taken::Now);
    }

    #[test]
    fn an_amount_beyond_the_bucket_takes_a_full_one_and_leaves_a_debt() {
        let (bucket, rate, now) = (Bucket::default(), rate(1000, SECOND), *START);
        let take = |amount, now| bucket.take(amount, rate, Duration::ZERO, now);
        assert_eq!(take(5000, now), Taken::Now);
        assert_eq!(take(1, now + 4 * SECOND), Taken::Refused(SECOND / 1000));
        assert_eq!(take(1000, now + 5 * SECOND), Taken::Now);
    }

    #[test]
    fn no_amount_overflows() {
        let (bucket, rate, now) = (Bucket::default(), rate(1, SECOND), *START);
        for _ in 0..3 {
            bucket.take(usize::MAX, rate, Duration::MAX, now);
        }
        assert!(matches!(
            bucket.take(1, rate, SECOND, now),
            Taken::Refused(_)
        ));
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let (bucket, rate, now) = (Bucket::default(), rate(100, 10 * SECOND), *START);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if bucket.take(1, rate, Duration::ZERO, now) == Taken::Now {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1000);
    }
}
