//! Compares the registry with this node: the audit claims again what the node believes to have, the
//! sweep releases what the registry lists for the node and the node does not hold.
//!
//! Owns the loop. Invariants: audit and sweep each use at most a twentieth of the registry's time.
//! After a loss, refilling uses as much of it as keeps the replies fast.

use tieline_registry::{ClientId, Cursor, Located, Owner, Stamp, claim_table::Lane};
use tokio::time::Instant;

use super::{
    inner::{Registrar, RegistrarHost},
    reconciler::Pacing,
};

/// Compares on request and every audit interval, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let audit_interval = || inner.reconciler.audit_interval(inner.config.audit_interval);
    let mut next_audit = Instant::now() + audit_interval();
    let mut sweep = None;
    let (mut audit_pacing, mut sweep_pacing) = (Pacing::default(), Pacing::default());
    loop {
        if sweep.is_none() {
            registrar.wait_for_work(next_audit).await;
        }
        if inner.reconciler.take_due() {
            inner.table.lock().audit();
            // A running sweep continues: if it restarted each time, it might never reach the end.
            sweep.get_or_insert_with(Cursor::default);
            // Jitter, so that nodes that started together do not audit together.
            let jitter = 0.9 + 0.2 * fastrand::f64();
            next_audit = Instant::now() + audit_interval().mul_f64(jitter);
        }
        registrar.send_slow(&mut audit_pacing).await;
        registrar.check_suspects().await;
        if let Some(cursor) = sweep.take() {
            sweep = registrar.sweep(cursor, &mut sweep_pacing).await;
        }
    }
}

impl<H: RegistrarHost> Registrar<H> {
    /// Returns once something is in the slow lane, or a comparison is due: on request, or at
    /// `next_audit`.
    async fn wait_for_work(&self, next_audit: Instant) {
        if self.0.table.lock().has_queued(Lane::Slow) || self.0.reconciler.has_suspects() {
            return;
        }
        tokio::select! {
            () = self.0.reconciler.woken() => {}
            () = tokio::time::sleep_until(next_audit) => self.0.reconciler.compare(),
        }
    }

    /// Sends the next requests of the slow lane, if there are any, and pauses.
    async fn send_slow(&self, pacing: &mut Pacing) {
        let requests = self.next_requests(Lane::Slow);
        if !requests.is_empty() {
            let start = Instant::now();
            let all_replied = self.send(requests).await;
            let took = all_replied.then(|| start.elapsed());
            if self.0.table.lock().to_refill() > 0 {
                pacing.pause_refill(took).await;
            } else {
                pacing.pause(took).await;
            }
        }
    }

    /// Looks up some ids for which peers came here in vain, and releases those whose entry names this
    /// node.
    async fn check_suspects(&self) {
        for id in self.0.reconciler.take_suspects() {
            if let Some(stamp) = self.own_stamp(&id).await {
                self.0.table.lock().sweep([(id, stamp)]);
            }
        }
    }

    /// The stamp of an entry that names this node.
    async fn own_stamp(&self, id: &ClientId) -> Option<Stamp> {
        let located = self.with_timeout("locate an id", self.0.registry.locate(id, true));
        match located.await.ok()? {
            Located::At(entry) if entry.address == self.0.config.address => {
                Some(match entry.owner {
                    Owner::Node { stamp, .. } => stamp,
                    // Only the entry is left, without a stamp.
                    Owner::Foreign => Stamp::default(),
                })
            }
            _ => None,
        }
    }

    /// Sweeps a page, and pauses. Returns the position of the next page, if there is one; a sweep ends
    /// early if the registry does not reply.
    async fn sweep(&self, cursor: Cursor, pacing: &mut Pacing) -> Option<Cursor> {
        let start = Instant::now();
        let page = self.sweep_page(cursor).await;
        pacing.pause(page.is_some().then(|| start.elapsed())).await;
        page.flatten()
    }

    /// Sweeps one page of the entries that the registry lists for this node. The position of the next
    /// page, if there is one; `None` if the registry did not reply.
    async fn sweep_page(&self, cursor: Cursor) -> Option<Option<Cursor>> {
        let session = self.0.session.lock().clone()?;
        let page = self.with_timeout(
            "list the node's ids",
            self.0.registry.ids_of(&session, cursor),
        );
        let page = page.await.ok()?;
        self.0.table.lock().sweep(page.items);
        Some(page.next)
    }
}
