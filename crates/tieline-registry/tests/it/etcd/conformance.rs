//! The suite that every registry passes.

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

/// One server; each registry has a prefix of its own.
struct EtcdBench {
    etcd: Mutex<Etcd>,
    given: AtomicUsize,
}

impl EtcdBench {
    async fn new() -> Self {
        Self {
            etcd: Mutex::new(Etcd::start().await),
            given: AtomicUsize::new(0),
        }
    }
}

impl RegistryHarness for EtcdBench {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            let url = self.etcd.lock().await.url();
            let prefix = format!("/ws-{}/", self.given.fetch_add(1, Relaxed));
            let registry = EtcdRegistry::connect_with(&url, &prefix, options()).await;
            Arc::new(registry.unwrap()) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    /// etcd looks twice a second for leases that have run out.
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

    /// What etcd has acknowledged it keeps, until somebody restores a backup.
    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.etcd.lock().await.restore().await;
            Ok(())
        })
    }
}

tieline_registry_conformance::conformance_tests!(
    |test| run_threads(1, test),
    EtcdBench::new().await
);
