//! Sends what is urgent, joined with whatever waits, and does what the answers ask for.

use std::sync::Arc;

use tieline_registry::{
    RegistryError,
    claim_table::{ClaimBatch, ClaimReply, Effect, Lane, Request},
};

use super::{Registrar, RegistrarHost};

/// Operations of one batch.
pub(super) const MAX_BATCH: usize = 512;

/// Sends urgent operations, for ever.
pub(super) async fn run<S: RegistrarHost>(registrar: Registrar<S>) {
    let inner = &*registrar.0;
    loop {
        inner.wake_sender.notified().await;
        loop {
            // What comes while all are under way joins the next batch.
            let permit = Arc::clone(&inner.in_flight).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let requests = registrar.take(Lane::Urgent);
            if requests.is_empty() {
                break;
            }
            let sender = registrar.clone();
            inner.tasks.spawn(async move {
                sender.carry_out(requests).await;
                drop(permit);
            });
        }
    }
}

impl<S: RegistrarHost> Registrar<S> {
    pub(super) fn take(&self, lane: Lane) -> Vec<Request> {
        let now = self.0.clock.now();
        self.0.table.lock().take(lane, now, MAX_BATCH)
    }

    /// Asks the registry, brings the answers back, and does what follows from them; whether all were
    /// answered.
    pub(super) async fn carry_out(&self, requests: Vec<Request>) -> bool {
        let mut all = true;
        for request in requests {
            let reply = self.ask(&request).await;
            all &= reply != ClaimReply::NoReply;
            let mut table = self.0.table.lock();
            let effects = table.answered(request, reply);
            let (urgent, slow) = (table.waits(Lane::Urgent), table.waits(Lane::Slow));
            drop(table);
            effects.into_iter().for_each(|effect| self.effect(effect));
            if urgent {
                self.0.wake_sender.notify_one();
            }
            if slow {
                self.0.reconciler.wake();
            }
        }
        all
    }

    async fn ask(&self, request: &Request) -> ClaimReply {
        let (registry, session) = (&self.0.registry, &request.session);
        let answered = match &request.batch {
            ClaimBatch::Claims(registrar) => self
                .with_timeout("claim", registry.claim(session, registrar))
                .await
                .map(ClaimReply::Claims),
            ClaimBatch::Releases(releases) => self
                .with_timeout("release", registry.release(session, releases))
                .await
                .map(ClaimReply::Releases),
        };
        answered.unwrap_or_else(|error| {
            tracing::debug!(error = %crate::cluster::chain(&error), "a batch without answer");
            ClaimReply::NoReply
        })
    }

    /// An answer of the registry, within the deadline.
    pub(super) async fn with_timeout<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        RegistryError::within(self.0.config.timeout, what, answer).await
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
                if let Some(cluster) = self.0.host.upgrade().filter(|_| !told) {
                    cluster.refused(&conn);
                }
            }
            Effect::Evict(node, id) => {
                if let Some(cluster) = self.0.host.upgrade() {
                    cluster.evict(&node, id);
                }
            }
            Effect::Stopped(_) => self.0.renew_now.notify_one(),
        }
    }
}
