//! Requests that only have to be taken, to servers that are not asked whether they agree.
//!
//! Owns the pauses before one is sent again. Must not know what it says. Invariant: each attempt is made anew, so that
//! its time and signature are.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::endpoint::{Attempt, CallError, Endpoint};
use crate::http_client::{Answer, Request};

/// The first pause. Each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, and so about how late it is noticed that the server takes requests again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

impl Endpoint {
    /// Sends what `request` makes, again and again, until an answer of 2xx says that it was taken, or the deadline is
    /// reached, or `request` makes nothing more. Each attempt may take `timeout`.
    pub(crate) async fn deliver(
        &self,
        request: impl Fn() -> Option<Request>,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Answer, CallError> {
        self.observe(async {
            let mut pause = FIRST_PAUSE;
            let mut last = Err(CallError::Late);
            loop {
                let Some(request) = request() else {
                    return last;
                };
                let until = deadline.min(Instant::now() + timeout);
                let attempt = self.send(&request, until).await;
                let again_at = if let Attempt::Down(at) = attempt {
                    at
                } else {
                    let jittered = pause.mul_f64(0.75 + fastrand::f64() / 4.0);
                    pause = (pause * 2).min(MAX_PAUSE);
                    Instant::now() + jittered
                };
                last = match attempt {
                    Attempt::Answered(answer) if answer.status.is_success() => return Ok(answer),
                    Attempt::Answered(answer) => Ok(answer),
                    Attempt::Failed(error) => Err(error.into()),
                    Attempt::Late => Err(CallError::Late),
                    Attempt::Down(_) => Err(CallError::Down),
                    Attempt::NotAllowed(_) => Err(CallError::NotAllowed),
                };
                self.note_failure(&last);
                if again_at >= deadline {
                    return last;
                }
                sleep_until(again_at).await;
                self.metrics.retried();
            }
        })
        .await
    }
}
