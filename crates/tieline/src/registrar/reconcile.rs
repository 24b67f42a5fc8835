//! Compares the registry with this node: the audit claims again what the node believes to have, the
//! sweep releases what the registry lists for the node and the node does not hold.
//!
//! Owns the loop. Invariants: audit and sweep each use at most a twentieth of the registry's time.
//! After a loss, refilling uses as much of it as keeps the replies fast.

use tieline_registry::{ClientId, Cursor, Located, Owner, RegistryError, Stamp, claim_table::Lane};
use tokio::{sync::Notify, time::Instant};

use super::{
    inner::{Registrar, RegistrarHost},
    reconciler::Pacing,
};

/// A list may take this many times as long as another request: a registry that cannot list in pages has
/// to list all at once.
const LIST_TIMEOUTS: u32 = 10;

/// Compares on request and every audit interval, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let sweep_due = Notify::new();
    tokio::join!(
        registrar.run_audits(&sweep_due),
        registrar.run_sweeps(&sweep_due),
    );
}

impl<H: RegistrarHost> Registrar<H> {
    /// Audits, and asks for a sweep with each audit. Apart from the sweeps, since a list that takes long must
    /// not delay what repairs a loss.
    async fn run_audits(&self, sweep_due: &Notify) {
        let inner = &*self.0;
        let audit_interval = || inner.reconciler.audit_interval(inner.config.audit_interval);
        let mut next_audit = Instant::now() + audit_interval();
        let mut pacing = Pacing::default();
        loop {
            self.wait_for_work(next_audit).await;
            if inner.reconciler.take_due() {
                inner.claims.audit_begun();
                inner.table.lock().audit();
                sweep_due.notify_one();
                // Jitter, so that nodes that started together do not audit together.
                let jitter = 0.9 + 0.2 * fastrand::f64();
                next_audit = Instant::now() + audit_interval().mul_f64(jitter);
            }
            self.send_slow(&mut pacing).await;
            self.check_suspects().await;
        }
    }

    /// Sweeps when it is due. A running sweep continues: if it restarted each time, it might never reach the
    /// end.
    async fn run_sweeps(&self, due: &Notify) {
        let mut pacing = Pacing::default();
        loop {
            due.notified().await;
            let mut next = Some(Cursor::default());
            while let Some(cursor) = next {
                next = self.sweep(cursor, &mut pacing).await;
            }
        }
    }

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
                self.release_orphans([(id, stamp)]);
            }
        }
    }

    /// The stamp of an entry that names this node.
    async fn own_stamp(&self, id: &ClientId) -> Option<Stamp> {
        let located = self.with_timeout("locate an id", self.0.registry.locate(id.key(), true));
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
        let timeout = self.0.config.timeout.saturating_mul(LIST_TIMEOUTS);
        let page = self.0.registry.ids_of(&session, cursor);
        let page = RegistryError::with_timeout(timeout, "list the node's ids", page);
        let page = page.await.ok()?;
        self.release_orphans(page.items);
        Some(page.next)
    }

    /// Releases those of the entries that have no client here.
    fn release_orphans(&self, entries: impl IntoIterator<Item = (ClientId, Stamp)>) {
        let released = self.0.table.lock().sweep(entries);
        self.0.claims.swept(released);
    }
}
