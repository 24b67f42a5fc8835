//! Compares the registry with this node: the audit claims again what the node believes to have, the
//! sweep releases what the registry lists for the node and the node does not hold.
//!
//! Owns the loop. Invariant: audit and sweep each use at most a twentieth of the registry's time.

use tieline_registry::{Cursor, claim_table::Lane};
use tokio::time::Instant;

use super::{
    inner::{Registrar, RegistrarHost},
    reconciler::Pacing,
};

/// Compares on request and every audit interval, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let mut next = Instant::now() + inner.config.audit_interval;
    let mut sweep = None;
    let (mut audit_pacing, mut sweep_pacing) = (Pacing::default(), Pacing::default());
    loop {
        if sweep.is_none() && !inner.table.lock().has_queued(Lane::Slow) {
            tokio::select! {
                () = inner.reconciler.woken() => {}
                () = tokio::time::sleep_until(next) => inner.reconciler.compare(),
            }
        }
        if inner.reconciler.take_due() {
            inner.table.lock().audit();
            // A running sweep continues: if it restarted each time, it might never reach the end.
            sweep.get_or_insert_with(Cursor::default);
            // Jitter, so that nodes that started together do not audit together.
            next = Instant::now()
                + inner
                    .config
                    .audit_interval
                    .mul_f64(0.9 + 0.2 * fastrand::f64());
        }
        let requests = registrar.next_requests(Lane::Slow);
        if !requests.is_empty() {
            let start = Instant::now();
            let replied = registrar.send(requests).await;
            audit_pacing.pause(replied.then(|| start.elapsed())).await;
        }
        if let Some(cursor) = sweep.take() {
            let start = Instant::now();
            let page = registrar.sweep(cursor).await;
            let took = page.is_some().then(|| start.elapsed());
            sweep = page.flatten();
            sweep_pacing.pause(took).await;
        }
    }
}

impl<H: RegistrarHost> Registrar<H> {
    /// Sweeps one page of the entries that the registry lists for this node. The position of the next
    /// page, if there is one; `None` if the registry did not reply.
    async fn sweep(&self, cursor: Cursor) -> Option<Option<Cursor>> {
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
