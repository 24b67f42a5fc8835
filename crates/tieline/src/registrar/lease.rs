//! Joins the registry, renews the lease, and detects outages, lost sessions and conflicts.
//!
//! The states of a node's membership, and the fields that hold them:
//!
//! ```text
//!                    ┌────────────────── Renewed, Revived ──────────────────┐
//!                    ▼                                                      │
//!              ┌───────────┐   no reply    ┌─────────────┐                  │
//!  joined ────▶│ Up        │──────────────▶│ Down        │── renew ─────────┤
//!    ▲         │ table on  │               │ table off   │                  │
//!    │         └───────────┘               └─────────────┘                  │
//!    │               │ Lost                                                 │
//!    │               ▼                                                      │
//!    └──────────── join ───────────▶ Conflict(process): table off ── renew ─┘
//!                          Busy
//! ```
//!
//! `Health` is what the rest of the node sees; whether requests may be sent is the table's own state,
//! because a missing reply to one batch stops the table at once, before a renewal has failed.

use std::time::Duration;

use tieline_registry::{
    Epoch, JoinOutcome, JoinRequest, LeaseInfo, NodeReport, NodeSession, RegistryError, Renewal,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    clock::LocalInstant,
    inner::{Health, Registrar, RegistrarHost},
};
use crate::error::ErrorChain;

/// Bounds of the pause before the next attempt to reach the registry. Full jitter, so that the nodes do
/// not all come back at the same moment.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Renewals in a row with a wrong entry count before the node compares. One may differ because claims
/// were in flight.
const WRONG_COUNTS: u32 = 2;

/// Renews the lease, every third of it, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let interval = inner.config.lease / 3;
    let mut failures = 0;
    let mut wrong_counts = 0;
    let mut next = Instant::now() + interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = inner.renew_now.notified() => {}
        }
        match registrar.renew().await {
            Ok(lease_info) => {
                failures = 0;
                next = Instant::now() + interval;
                wrong_counts = match lease_info {
                    Some(lease_info) if registrar.count_differs(&lease_info) => wrong_counts + 1,
                    _ => 0,
                };
                if wrong_counts == WRONG_COUNTS {
                    tracing::info!(
                        "the registry's entry count differs from this node's; comparing"
                    );
                    wrong_counts = 0;
                    inner.reconciler.compare();
                }
            }
            Err(error) => {
                registrar.on_unavailable(&error);
                next = Instant::now() + pause(failures);
                failures += 1;
            }
        }
    }
}

/// Between a quarter of the lower bound and a limit that doubles with each failure.
fn pause(failures: u32) -> Duration {
    let limit = RETRY[0].saturating_mul(1 << failures.min(10)).min(RETRY[1]);
    limit.mul_f64(fastrand::f64()).max(RETRY[0] / 4)
}

/// Requests.
impl<H: RegistrarHost> Registrar<H> {
    /// Renews the lease, and joins again if the session is lost. `None` if another process holds the
    /// address.
    async fn renew(&self) -> Result<Option<LeaseInfo>, RegistryError> {
        let inner = &*self.0;
        let Some(session) = inner.session.lock().clone() else {
            return self.join().await;
        };
        let report = self.report();
        match self
            .with_timeout("renew the lease", inner.registry.renew(&session, report))
            .await?
        {
            Renewal::Renewed(lease_info) if lease_info.epoch != *inner.epoch.lock() => {
                tracing::warn!("the registry has lost data; claiming all connections again");
                self.record(&lease_info);
                self.on_joined(session);
                Ok(Some(lease_info))
            }
            Renewal::Renewed(lease_info) => {
                self.record(&lease_info);
                self.resume(session).await?;
                self.on_available();
                Ok(Some(lease_info))
            }
            Renewal::Revived(lease_info) => {
                tracing::warn!("the lease had expired; claiming all connections again");
                self.record(&lease_info);
                self.on_joined(session);
                Ok(Some(lease_info))
            }
            Renewal::Lost => {
                tracing::warn!("the registry no longer knows this node; joining again");
                self.on_session_lost();
                self.join().await
            }
        }
    }

    /// What the registry is told with a renewal.
    fn report(&self) -> NodeReport {
        let inner = &*self.0;
        let has_refilled = inner.table.lock().to_refill() == 0;
        let epoch = *inner.epoch.lock();
        NodeReport {
            now: inner.clock.now(),
            refilled: if has_refilled {
                epoch
            } else {
                Epoch::default()
            },
        }
    }

    /// Lets the table send again after a missing reply, behind a new fencing token where the registry
    /// has them.
    async fn resume(&self, session: NodeSession) -> Result<(), RegistryError> {
        let inner = &*self.0;
        if inner.table.lock().is_joined() {
            return Ok(());
        }
        let fenced = self.with_timeout("fence late requests", inner.registry.fence(&session));
        let Some(session) = fenced.await? else {
            self.on_session_lost();
            self.join().await?;
            return Ok(());
        };
        *inner.session.lock() = Some(session.clone());
        inner.table.lock().on_resumed(session);
        inner.wake_sender.notify_one();
        inner.reconciler.wake();
        Ok(())
    }

    /// Takes the address. If another process holds it, checks whether that is an earlier run of this
    /// node.
    pub(super) async fn join(&self) -> Result<Option<LeaseInfo>, RegistryError> {
        match self.try_join(None).await? {
            Ok(lease_info) => return Ok(Some(lease_info)),
            Err(holder) => {
                // If the address leads to this process, the holder must be gone.
                let host = self.0.host.upgrade();
                let answering = match host {
                    Some(host) => host.probe().await,
                    None => None,
                };
                if answering == Some(self.0.config.process)
                    && let Ok(lease_info) = self.try_join(Some(holder)).await?
                {
                    return Ok(Some(lease_info));
                }
                self.on_conflict(holder);
            }
        }
        Ok(None)
    }

    /// Takes the address; the inner error is the process that holds it.
    async fn try_join(
        &self,
        replace: Option<Uuid>,
    ) -> Result<Result<LeaseInfo, Uuid>, RegistryError> {
        let inner = &*self.0;
        let request = JoinRequest {
            address: inner.config.address.clone(),
            process: inner.config.process,
            replace,
            previous: inner.session.lock().clone(),
            now: inner.clock.now(),
            lease: inner.config.lease,
            has_connections: !inner.table.lock().is_empty(),
        };
        match self
            .with_timeout("join", inner.registry.join(&request))
            .await?
        {
            JoinOutcome::Joined(session, lease_info) => {
                self.record(&lease_info);
                self.on_joined(session);
                Ok(Ok(lease_info))
            }
            JoinOutcome::Busy(holder) => Ok(Err(holder)),
        }
    }

    /// Renews an overdue lease before the next connection: after a pause of this process, the lease
    /// may have expired, and other nodes may have taken its clients.
    pub(super) async fn renew_if_overdue(&self, deadline: Instant) {
        let overdue = self.0.config.lease * 2 / 3;
        let mut last_renewal = self.0.last_renewal.subscribe();
        if last_renewal.borrow_and_update().elapsed() > overdue && self.health() == Health::Up {
            self.0.renew_now.notify_one();
            let _ = tokio::time::timeout_at(deadline, last_renewal.changed()).await;
        }
    }
}

/// Events.
impl<H: RegistrarHost> Registrar<H> {
    fn on_joined(&self, session: NodeSession) {
        let inner = &*self.0;
        *inner.session.lock() = Some(session.clone());
        inner.table.lock().on_joined(session);
        inner.wake_sender.notify_one();
        inner.reconciler.compare();
        self.on_available();
    }

    fn on_session_lost(&self) {
        self.0.table.lock().stop();
    }

    fn on_available(&self) {
        let before = self.0.health.send_replace(Health::Up);
        if before != Health::Up {
            tracing::info!(address = %self.0.config.address, "joined the registry");
            self.0.reconciler.compare();
        }
    }

    fn on_unavailable(&self, error: &RegistryError) {
        let before = self.0.health.send_replace(Health::Down);
        if before != Health::Down {
            tracing::warn!(error = %ErrorChain(error), "the registry does not respond; continuing with cached routes");
        }
    }

    fn on_conflict(&self, holder: Uuid) {
        self.0.table.lock().stop();
        let health = Health::Conflict(holder);
        if self.0.health.send_replace(health.clone()) != health {
            tracing::error!(
                address = %self.0.config.address, %holder,
                "another process holds this node's address; refusing new clients until it is gone. \
                 Give each node its own address"
            );
        }
    }

    /// Records what the registry reports with each join and renewal.
    fn record(&self, lease_info: &LeaseInfo) {
        self.0.clock.observe(lease_info.clock, LocalInstant::now());
        *self.0.epoch.lock() = lease_info.epoch;
        self.0.last_renewal.send_replace(Instant::now());
        self.0
            .reconciler
            .on_foreign_balance(lease_info.foreign_balance);
    }

    /// Whether the registry counts more or fewer entries of this node than the node does.
    fn count_differs(&self, lease_info: &LeaseInfo) -> bool {
        let count = lease_info.entry_count;
        count.is_some_and(|count| count != self.entries())
    }
}
