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
    kind: Kind,
}

/// What the server does when a scenario says so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A wiped store has lost its keys and leases, and goes on counting revisions.
    Deletes,
    /// A wiped store begins anew, with revisions that were there before.
    Restarts,
    /// While time passes, the server is suspended, and its leases run out.
    Stops,
}

impl EtcdHarness {
    async fn new(kind: Kind) -> Self {
        Self {
            kind,
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

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut etcd = self.etcd.lock().await;
            if self.kind == Kind::Stops {
                etcd.stop(0);
            }
            tokio::time::sleep(time).await;
            if self.kind == Kind::Stops {
                etcd.resume(0);
                etcd.wait_until_healthy(0).await;
            }
        })
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let mut etcd = self.etcd.lock().await;
            if self.kind == Kind::Restarts {
                etcd.wipe().await;
                return Ok(());
            }
            let gateway = etcd.gateway();
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
    EtcdHarness::new(Kind::Deletes).await
);

/// Plays some scenarios on a server of another kind.
macro_rules! on_a_server_that {
    ($module:ident, $kind:expr, $($name:ident)*) => {
        mod $module {
            use super::*;

            $(#[test]
            fn $name() {
                run_threads(1, async {
                    let harness = EtcdHarness::new($kind).await;
                    tieline_registry_conformance::play(stringify!($name), &harness).await;
                });
            })*
        }
    };
}

on_a_server_that!(
    restarts_empty,
    Kind::Restarts,
    second_connection_leaves_after_wipe
    removal_while_settling
    journal_replaced
    wipe_seen_before_reentry
    settled_behind
    reentry_longer_than_hold
);
on_a_server_that!(
    is_suspended,
    Kind::Stops,
    registry_stood_still
    outage_then_move
    crash_is_told
    drain_and_return
    term_opened_again
);
