//! Sends what is urgent, joined with whatever waits, and does what the answers ask for.

use std::sync::Arc;

use tieline_registry::{
    RegistryError,
    claim_table::{Answered, Effect, Pace, Request, Work},
};

use super::{Claims, Surroundings};

/// Operations of one batch.
pub(super) const BATCH: usize = 512;

/// Sends urgent operations, for ever.
pub(super) async fn run<S: Surroundings>(claims: Claims<S>) {
    let inner = &*claims.0;
    loop {
        inner.bell.notified().await;
        loop {
            // What comes while all are under way joins the next batch.
            let permit = Arc::clone(&inner.in_flight).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let requests = claims.take(Pace::Urgent);
            if requests.is_empty() {
                break;
            }
            let claims = claims.clone();
            inner.tasks.spawn(async move {
                claims.carry_out(requests).await;
                drop(permit);
            });
        }
    }
}

impl<S: Surroundings> Claims<S> {
    pub(super) fn take(&self, pace: Pace) -> Vec<Request> {
        let now = self.0.clock.now();
        self.0.slots.lock().take(pace, now, BATCH)
    }

    /// Asks the registry, brings the answers back, and does what follows from them; whether all were
    /// answered.
    pub(super) async fn carry_out(&self, requests: Vec<Request>) -> bool {
        let mut all = true;
        for request in requests {
            let answered = self.ask(&request).await;
            all &= answered != Answered::Silence;
            let mut slots = self.0.slots.lock();
            let effects = slots.answered(request, answered);
            let (urgent, slow) = (slots.waits(Pace::Urgent), slots.waits(Pace::Slow));
            drop(slots);
            effects.into_iter().for_each(|effect| self.effect(effect));
            if urgent {
                self.0.bell.notify_one();
            }
            if slow {
                self.0.upkeep.ring();
            }
        }
        all
    }

    async fn ask(&self, request: &Request) -> Answered {
        let (registry, session) = (&self.0.registry, &request.session);
        let answered = match &request.work {
            Work::Claims(claims) => self
                .timely("claim", registry.claim(session, claims))
                .await
                .map(Answered::Claims),
            Work::Releases(releases) => self
                .timely("release", registry.release(session, releases))
                .await
                .map(Answered::Releases),
        };
        answered.unwrap_or_else(|error| {
            tracing::debug!(error = %crate::cluster::chain(&error), "a batch without answer");
            Answered::Silence
        })
    }

    /// An answer of the registry, within the deadline.
    pub(super) async fn timely<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        RegistryError::within(self.0.terms.timeout, what, answer).await
    }

    fn effect(&self, effect: Effect<Arc<crate::hub::ConnectionInner>>) {
        match effect {
            Effect::Granted(stamp) => {
                if let Some(upgrade) = self.0.waiting.lock().remove(&stamp) {
                    // Whoever waited may have given up.
                    let _ = upgrade.send(true);
                }
            }
            Effect::Refused(conn, stamp) => {
                let upgrade = self.0.waiting.lock().remove(&stamp);
                let told = upgrade.is_some_and(|upgrade| upgrade.send(false).is_ok());
                if let Some(cluster) = self.0.surroundings.upgrade().filter(|_| !told) {
                    cluster.refused(&conn);
                }
            }
            Effect::Evict(node, id) => {
                if let Some(cluster) = self.0.surroundings.upgrade() {
                    cluster.evict(&node, id);
                }
            }
            Effect::Stopped(_) => self.0.alarm.notify_one(),
        }
    }
}
