//! Claims and releases the ids of this node's connections.
//!
//! Owns how long an upgrade waits for the decision on its claim. Everything here only changes the claim
//! table and wakes the tasks that send; no function waits for the registry, except
//! [`Registrar::connect`].

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tieline_registry::{ClientId, Stamp};
use tokio::{sync::oneshot, time::Instant};

use super::{
    clock::LocalInstant,
    inner::{ClaimDecision, Health, Registrar, RegistrarHost},
};
use crate::hub::ConnectionInner;

impl<H: RegistrarHost> Registrar<H> {
    /// Claims the id of a connection that waits for its admission, and waits for the decision, up to
    /// the configured time. A later decision still counts: the hub refuses a connection that turns out to
    /// be the older one as long as it is not admitted, and closes it after. Cancel-safe: the claim
    /// continues, and ends with the connection.
    pub(crate) async fn connect(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: LocalInstant,
        exclusive: bool,
    ) -> ClaimDecision {
        let inner = &*self.0;
        let deadline = Instant::now() + inner.config.claim_timeout;
        self.renew_if_overdue(deadline).await;
        if matches!(*inner.health.borrow(), Health::Conflict(_)) {
            return ClaimDecision::Conflict;
        }
        let stamp = inner.clock.stamp(arrival);
        let (sender, decision) = oneshot::channel();
        inner.pending_upgrades.lock().insert(stamp, sender);
        let _guard = PendingUpgrade(&inner.pending_upgrades, stamp);
        let connect = || {
            let connection = Arc::clone(conn);
            let mut table = inner.table.lock();
            table.connect(&conn.id, stamp, connection, exclusive);
        };
        // Newer connections with this id may have arrived meanwhile, above all during an overdue renewal.
        // Only the one that the hub would admit may be claimed, in whatever order they get here.
        let host = inner.host.upgrade();
        if !host.is_some_and(|host| host.begin_claim(conn, connect)) {
            return ClaimDecision::Taken;
        }
        inner.wake_sender.notify_one();
        self.wait_for_decision(decision, deadline).await
    }

    /// Waits for the decision on a claim, unless the registry stops responding or the deadline passes.
    async fn wait_for_decision(
        &self,
        decision: oneshot::Receiver<bool>,
        deadline: Instant,
    ) -> ClaimDecision {
        let mut health = self.0.health.subscribe();
        tokio::select! {
            biased;
            Ok(granted) = decision => if granted { ClaimDecision::Granted } else { ClaimDecision::Taken },
            _ = health.wait_for(|health| *health != Health::Up) => ClaimDecision::Undecided,
            () = tokio::time::sleep_until(deadline) => ClaimDecision::Undecided,
        }
    }

    /// A connection has left the hub.
    pub(crate) fn disconnect(&self, conn: &Arc<ConnectionInner>) {
        let is_same = |other: &Arc<ConnectionInner>| Arc::ptr_eq(other, conn);
        self.0.table.lock().disconnect(conn.id.key(), is_same);
        self.0.wake_sender.notify_one();
    }

    /// Another node reports that it was granted these ids.
    pub(crate) fn on_evict<'a>(&self, ids: impl Iterator<Item = Cow<'a, str>>) {
        let mut table = self.0.table.lock();
        ids.for_each(|id| table.recheck(&id));
        drop(table);
        self.0.wake_sender.notify_one();
    }

    /// A peer looked here for a client that is not here: if the registry sent the peer, its entry is
    /// wrong, and is looked up to be released.
    pub(crate) fn on_missing_client(&self, id: &str) {
        if let Ok(id) = ClientId::from_key(id) {
            self.0.reconciler.suspect(id);
        }
    }
}

/// Removes an upgrade that no longer waits.
struct PendingUpgrade<'a>(&'a Mutex<HashMap<Stamp, oneshot::Sender<bool>>>, Stamp);

impl Drop for PendingUpgrade<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}
