//! The conformance suite.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tieline_registry::{EtcdRegistry, Registry};
use tieline_registry_conformance::{BoxFuture, RegistryHarness, Skipped};
use tieline_test_servers::etcd::{Etcd, LEASE};
use tokio::sync::Mutex;

use super::options;
use crate::kit::run_threads;

/// One server; each registry has another prefix.
struct EtcdHarness {
    etcd: Mutex<Etcd>,
    registries: AtomicUsize,
}

impl EtcdHarness {
    async fn new() -> Self {
        Self {
            etcd: Mutex::new(Etcd::start().await),
            registries: AtomicUsize::new(0),
        }
    }
}

impl RegistryHarness for EtcdHarness {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            let url = self.etcd.lock().await.url();
            let prefix = format!("/ws-{}/", self.registries.fetch_add(1, Relaxed));
            let registry = EtcdRegistry::connect_with(&url, &prefix, options()).await;
            Arc::new(registry.unwrap()) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    /// etcd looks for expired leases twice a second.
    fn expiry(&self) -> Duration {
        LEASE + Duration::from_millis(1500)
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let gateway = self.etcd.lock().await.gateway();
            gateway.revoke_all().await;
            gateway.delete_all().await;
            Ok(())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.etcd.lock().await.snapshot().await;
            Ok(())
        })
    }

    /// etcd never loses what it has acknowledged; this restores a backup.
    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.etcd.lock().await.restore().await;
            Ok(())
        })
    }
}

tieline_registry_conformance::conformance_tests!(
    |test| run_threads(1, test),
    EtcdHarness::new().await
);
