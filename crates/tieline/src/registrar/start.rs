//! Starts the registrar, and ends it.
//!
//! Owns the tasks. Invariant: every task ends with [`Registrar::stop`].

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tieline_registry::{Registry, RegistryError};
use tokio::time::{Instant, timeout_at};

use super::{
    claim_sender,
    inner::{Registrar, RegistrarConfig, RegistrarHost},
    lease, reaper, reconcile,
};
use crate::error::ErrorChain;

impl<H: RegistrarHost> Registrar<H> {
    /// Joins the registry and starts the registrar's tasks. Fails if the registry cannot be reached. If
    /// another process holds the address, the registrar starts in conflict and keeps trying.
    pub(crate) async fn start(
        registry: Arc<dyn Registry>,
        config: RegistrarConfig,
        host: Weak<H>,
    ) -> Result<Self, RegistryError> {
        let registrar = Self::new(registry, config, host);
        registrar.join().await?;
        registrar.spawn(lease::run(registrar.clone()));
        registrar.spawn(claim_sender::run(registrar.clone()));
        registrar.spawn(reconcile::run(registrar.clone()));
        registrar.spawn(reaper::run(registrar.clone()));
        Ok(registrar)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(stop.run_until_cancelled_owned(task));
    }

    /// Ends a node whose connections are gone: waits until everything is released, stops, and leaves the
    /// registry. At the deadline it stops all the same; the lease then expires.
    pub(crate) async fn leave(&self, deadline: Instant) {
        let inner = &*self.0;
        let released = async {
            while !inner.table.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let is_released = timeout_at(deadline, released).await.is_ok();
        // A renewal that came after the departure would be told that the node is unknown, and join again.
        self.stop();
        inner.tasks.wait().await;
        if is_released {
            let _ = timeout_at(deadline, self.leave_registry()).await;
        }
    }

    async fn leave_registry(&self) {
        let inner = &*self.0;
        let session = inner.session.lock().clone();
        let Some(session) = session else { return };
        match inner.registry.leave(&session).await {
            Ok(()) => tracing::info!(address = %inner.config.address, "left the registry"),
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "failed to leave the registry; the lease will expire");
            }
        }
    }

    /// Stops at once; entries stay until the lease expires.
    pub(crate) fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
    }
}
