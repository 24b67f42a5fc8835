//! How long clients wait for a registry that may hang.
//!
//! Must not know what is asked. Invariant: once somebody has waited in vain, nobody waits for more than a moment until
//! something is answered, so that what a client asks for in a row does not add up.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// How long they wait while nothing is answered: enough for a registry that does again.
const MOMENT: Duration = Duration::from_millis(50);

/// How long clients wait for something that is asked for each of them.
pub(super) struct Patience {
    limit: Duration,
    has_run_out: AtomicBool,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            has_run_out: AtomicBool::new(false),
        }
    }

    /// How long the next one waits.
    pub(super) fn limit(&self) -> Duration {
        if self.has_run_out.load(Relaxed) {
            self.limit.min(MOMENT)
        } else {
            self.limit
        }
    }

    /// Somebody has waited in vain.
    pub(super) fn runs_out(&self) {
        self.has_run_out.store(true, Relaxed);
    }

    /// Something was answered, whether somebody still waits for it or not.
    pub(super) fn answered(&self) {
        self.has_run_out.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_in_vain_and_others_for_a_moment_until_something_is_answered() {
        let limit = Duration::from_secs(1);
        let patience = Patience::new(limit);
        assert_eq!(patience.limit(), limit);
        patience.runs_out();
        assert_eq!(patience.limit(), MOMENT);
        patience.runs_out();
        patience.answered();
        assert_eq!(patience.limit(), limit);
        let short = Patience::new(Duration::ZERO);
        short.runs_out();
        assert_eq!(short.limit(), Duration::ZERO);
    }
}
