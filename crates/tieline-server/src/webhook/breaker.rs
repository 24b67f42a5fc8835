//! A breaker: after repeated failures, requests fail at once instead of waiting for a dead server.
//!
//! Owns when requests pass. Must not know what a failure is, nor sleep. Invariant: once the pause is over, one
//! request at a time tries whether the server is back, and a pass that was dropped without a verdict holds
//! up no other.
//!
//! ```text
//! Closed ── 5 failures in a row ──▶ Open ── the pause is over ──▶ Probing ── success ──▶ Closed
//!                                    ▲                               │
//!                                    └──── failure, a longer pause ──┘
//! ```

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures in a row that open the breaker.
const MAX_FAILURES: u32 = 5;

/// How long the first pause is. Each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, and so how late it is noticed that the server is back. A probe that takes longer no
/// longer keeps others from trying.
const MAX_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    Probing { until: Instant, pause: Duration },
}

/// Leave to send one request. It takes the verdict.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    decided: bool,
}

/// What a verdict has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Whether the server is held to be down.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.0.lock(), State::Closed { .. })
    }

    /// A word for its state.
    pub(super) fn name(&self) -> &'static str {
        match *self.0.lock() {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::Probing { .. } => "probing",
        }
    }

    /// Leave to send a request, or when to ask again.
    pub(super) fn pass(&self) -> Result<Pass<'_>, Instant> {
        let now = Instant::now();
        let mut state = self.0.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { until, pause } | State::Probing { until, pause } if until <= now => {
                let until = now + MAX_PAUSE;
                *state = State::Probing { until, pause };
            }
            State::Open { until, .. } => return Err(until),
            // The probe may be decided at any moment.
            State::Probing { .. } => return Err(now + FIRST_PAUSE / 10),
        }
        Ok(Pass {
            breaker: self,
            decided: false,
        })
    }
}

impl Pass<'_> {
    /// The server has answered.
    pub(super) fn succeeded(mut self) -> Change {
        self.decided = true;
        let mut state = self.breaker.0.lock();
        let before = std::mem::replace(&mut *state, State::Closed { failures: 0 });
        match before {
            State::Closed { .. } => Change::None,
            _ => Change::Closed,
        }
    }

    /// The server has not answered.
    pub(super) fn failed(mut self) -> Change {
        self.decided = true;
        let now = Instant::now();
        let mut state = self.breaker.0.lock();
        let (next, change) = match *state {
            State::Closed { failures } if failures + 1 < MAX_FAILURES => {
                let failures = failures + 1;
                (State::Closed { failures }, Change::None)
            }
            State::Closed { .. } => (open(now, FIRST_PAUSE), Change::Opened),
            State::Probing { pause, .. } => (open(now, (pause * 2).min(MAX_PAUSE)), Change::None),
            // One of those that were under way when it opened.
            open @ State::Open { .. } => (open, Change::None),
        };
        *state = next;
        change
    }
}

fn open(now: Instant, pause: Duration) -> State {
    let until = now + pause;
    State::Open { until, pause }
}

impl Drop for Pass<'_> {
    /// Without a verdict, for example because nobody waits any more: the next request may try.
    fn drop(&mut self) {
        let mut state = self.breaker.0.lock();
        if let (false, State::Probing { pause, .. }) = (self.decided, *state) {
            let until = Instant::now();
            *state = State::Open { until, pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.pass().unwrap().failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let breaker = Breaker::new();
        fail(&breaker, MAX_FAILURES - 1);
        assert_eq!(breaker.pass().unwrap().succeeded(), Change::None);
        fail(&breaker, MAX_FAILURES - 1);
        assert_eq!(breaker.pass().unwrap().failed(), Change::Opened);
        let until = breaker.pass().unwrap_err();
        assert_eq!(until, Instant::now() + FIRST_PAUSE);
        tokio::time::sleep_until(until).await;
        let probe = breaker.pass().unwrap();
        assert!(breaker.pass().is_err(), "one probe at a time");
        assert_eq!(probe.succeeded(), Change::Closed);
        assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_their_maximum() {
        let breaker = Breaker::new();
        fail(&breaker, MAX_FAILURES);
        for seconds in [1, 2, 4, 5, 5] {
            let until = breaker.pass().unwrap_err();
            assert_eq!(until, Instant::now() + Duration::from_secs(seconds));
            tokio::time::sleep_until(until).await;
            assert_eq!(breaker.pass().unwrap().failed(), Change::None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_dropped_nor_an_endless_probe_holds_up_others() {
        let breaker = Breaker::new();
        fail(&breaker, MAX_FAILURES);
        tokio::time::sleep(FIRST_PAUSE).await;
        drop(breaker.pass().unwrap());
        let endless = breaker.pass().unwrap();
        assert!(breaker.pass().is_err());
        tokio::time::sleep(MAX_PAUSE).await;
        assert_eq!(breaker.pass().unwrap().succeeded(), Change::Closed);
        assert_eq!(endless.failed(), Change::None);
    }
}
