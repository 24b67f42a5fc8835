//! Sends urgent requests to the registry, and carries out the effects of every reply.
//!
//! Owns the batching: what arrives while all batches are in flight joins the next one. Invariant: each
//! request that is taken from the table gets exactly one reply, if only [`ClaimReply::NoReply`].

use std::sync::Arc;

use tieline_registry::{
    Stamp,
    claim_table::{ClaimBatch, ClaimReply, ClaimRequest, Effect, Lane},
};

use super::inner::{MAX_BATCH, Registrar, RegistrarHost};
use crate::{error::ErrorChain, hub::ConnectionInner};

/// Sends urgent requests until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    loop {
        inner.wake_sender.notified().await;
        loop {
            // The permit comes first: what arrives while all batches are in flight joins the next one.
            let permit = Arc::clone(&inner.in_flight).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let requests = registrar.next_requests(Lane::Urgent);
            if requests.is_empty() {
                break;
            }
            let sender = registrar.clone();
            inner.tasks.spawn(async move {
                sender.send(requests).await;
                drop(permit);
            });
        }
    }
}

impl<H: RegistrarHost> Registrar<H> {
    pub(super) fn next_requests(&self, lane: Lane) -> Vec<ClaimRequest> {
        self.0.table.lock().next_requests(lane, MAX_BATCH)
    }

    /// Sends requests one after the other, hands the replies to the table, and carries out their
    /// effects. Whether every request got a reply.
    pub(super) async fn send(&self, requests: Vec<ClaimRequest>) -> bool {
        let mut all_replied = true;
        for request in requests {
            let reply = self.send_one(&request).await;
            all_replied &= reply != ClaimReply::NoReply;
            let mut table = self.0.table.lock();
            let was_refilling = table.to_refill() > 0;
            let effects = table.on_reply(request, reply);
            let (urgent, slow) = (table.has_queued(Lane::Urgent), table.has_queued(Lane::Slow));
            let has_refilled = was_refilling && table.to_refill() == 0;
            drop(table);
            if has_refilled {
                // The sooner the registry knows, the sooner it can say again that a client is offline.
                self.0.renew_now.notify_one();
            }
            effects.into_iter().for_each(|effect| self.apply(effect));
            if urgent {
                self.0.wake_sender.notify_one();
            }
            if slow {
                self.0.reconciler.wake();
            }
        }
        all_replied
    }

    async fn send_one(&self, request: &ClaimRequest) -> ClaimReply {
        let (registry, session) = (&self.0.registry, &request.session);
        let reply = match &request.batch {
            ClaimBatch::Claims(claims) => self
                .with_timeout("claim ids", registry.claim(session, claims))
                .await
                .map(ClaimReply::Claims),
            ClaimBatch::Releases(releases) => self
                .with_timeout("release ids", registry.release(session, releases))
                .await
                .map(ClaimReply::Releases),
        };
        reply.unwrap_or_else(|error| {
            tracing::debug!(error = %ErrorChain(&error), "a batch got no reply from the registry");
            self.0.claims.request_failed();
            ClaimReply::NoReply
        })
    }

    fn apply(&self, effect: Effect<Arc<ConnectionInner>>) {
        match effect {
            Effect::Granted(stamp) => {
                self.0.claims.granted();
                self.wake_upgrade(stamp, true);
            }
            Effect::Refused(conn, stamp) => {
                self.0.claims.refused();
                // The hub learns it first: whether the upgrade still waits, has just stopped waiting or has
                // admitted the client, the verdict counts.
                if let Some(host) = self.0.host.upgrade() {
                    host.on_refused(&conn);
                }
                self.wake_upgrade(stamp, false);
            }
            Effect::Evict(node, id) => {
                if let Some(host) = self.0.host.upgrade() {
                    host.evict(&node, id);
                }
            }
            Effect::Stopped(_) => self.0.renew_now.notify_one(),
        }
    }

    fn wake_upgrade(&self, stamp: Stamp, granted: bool) {
        if let Some(upgrade) = self.0.pending_upgrades.lock().remove(&stamp) {
            // Fails if the upgrade has stopped waiting.
            let _ = upgrade.send(granted);
        }
    }
}
