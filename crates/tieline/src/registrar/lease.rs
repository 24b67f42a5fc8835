//! Keeps the lease, and notices when it is lost, when the registry is away, and when it is back.

use std::time::Duration;

use tieline_registry::{JoinOutcome, JoinRequest, LeaseInfo, NodeSession, RegistryError, Renewal};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Health, LocalInstant, Registrar, RegistrarHost};
use crate::cluster::chain;

/// Bounds of the pause before a registry that did not answer is asked again; full jitter, so that
/// nodes do not come back all at once.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Beats, for ever.
pub(super) async fn run<S: RegistrarHost>(registrar: Registrar<S>) {
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
                    Some(lease_info) if registrar.miscounts(&lease_info) => wrong_counts + 1,
                    _ => 0,
                };
                if wrong_counts == 2 {
                    tracing::info!(
                        "the registry has another count of entries than this node; comparing"
                    );
                    wrong_counts = 0;
                    inner.reconciler.compare();
                }
            }
            Err(error) => {
                registrar.is_down(&error);
                next = Instant::now() + pause(failures);
                failures += 1;
            }
        }
    }
}

/// Between nothing and a bound that doubles with each failure.
fn pause(failures: u32) -> Duration {
    let bound = RETRY[0].saturating_mul(1 << failures.min(10)).min(RETRY[1]);
    bound.mul_f64(fastrand::f64()).max(RETRY[0] / 4)
}

impl<S: RegistrarHost> Registrar<S> {
    /// One beat, and what it takes to be joined after it. The tenure, unless the address is another's.
    async fn renew(&self) -> Result<Option<LeaseInfo>, RegistryError> {
        let inner = &*self.0;
        let Some(session) = inner.session.lock().clone() else {
            return self.join().await;
        };
        let now = inner.clock.now();
        match self
            .with_timeout("renew the lease", inner.registry.renew(&session, now))
            .await?
        {
            Renewal::Renewed(lease_info) => {
                self.learn(&lease_info);
                self.resume(session).await?;
                self.is_up();
                Ok(Some(lease_info))
            }
            Renewal::Revived(lease_info) => {
                tracing::warn!("the lease had run out; claiming all connections again");
                self.learn(&lease_info);
                self.joined(session);
                Ok(Some(lease_info))
            }
            Renewal::Lost => {
                tracing::warn!("the registry has lost this node; joining again");
                self.lost();
                self.join().await
            }
        }
    }

    /// Resumes where an answer was missing: behind a fence, where the registry has one.
    async fn resume(&self, session: NodeSession) -> Result<(), RegistryError> {
        let inner = &*self.0;
        if inner.table.lock().is_joined() {
            return Ok(());
        }
        let fenced = self.with_timeout("fence", inner.registry.fence(&session));
        let Some(session) = fenced.await? else {
            self.lost();
            self.join().await?;
            return Ok(());
        };
        *inner.session.lock() = Some(session.clone());
        inner.table.lock().resumed(session);
        inner.wake_sender.notify_one();
        inner.reconciler.wake();
        Ok(())
    }

    /// Takes the address; where another process holds it, looks whether it is still there.
    pub(super) async fn join(&self) -> Result<Option<LeaseInfo>, RegistryError> {
        match self.try_join(None).await? {
            Ok(lease_info) => return Ok(Some(lease_info)),
            Err(holder) => {
                // Is the holder a former life of ours? Then its address leads to us.
                let host = self.0.host.upgrade();
                let answering = match host {
                    Some(cluster) => cluster.probe().await,
                    None => None,
                };
                if answering == Some(self.0.config.process)
                    && let Ok(lease_info) = self.try_join(Some(holder)).await?
                {
                    return Ok(Some(lease_info));
                }
                self.is_in_conflict(holder);
            }
        }
        Ok(None)
    }

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
        };
        match self
            .with_timeout("join", inner.registry.join(&request))
            .await?
        {
            JoinOutcome::Joined(session, lease_info) => {
                self.learn(&lease_info);
                self.joined(session);
                Ok(Ok(lease_info))
            }
            JoinOutcome::Busy(holder) => Ok(Err(holder)),
        }
    }

    fn joined(&self, session: NodeSession) {
        let inner = &*self.0;
        *inner.session.lock() = Some(session.clone());
        inner.table.lock().joined(session);
        inner.wake_sender.notify_one();
        inner.reconciler.compare();
        self.is_up();
    }

    fn lost(&self) {
        self.0.table.lock().stop();
        *self.0.lost.lock() = Some(Instant::now());
    }

    fn learn(&self, lease_info: &LeaseInfo) {
        self.0.clock.observe(lease_info.clock, LocalInstant::now());
        self.0.renewed.send_replace(Instant::now());
        self.0.reconciler.foreign(lease_info.foreign);
    }

    /// Whether the registry counts other entries for this node than the node does.
    fn miscounts(&self, lease_info: &LeaseInfo) -> bool {
        lease_info.held.is_some_and(|held| held != self.entries())
    }

    fn is_up(&self) {
        let before = self.0.health.send_replace(Health::Up);
        if before != Health::Up {
            tracing::info!(address = %self.0.config.address, "in the registry");
            self.0.reconciler.compare();
        }
    }

    fn is_down(&self, error: &RegistryError) {
        let before = self.0.health.send_replace(Health::Down);
        if before != Health::Down {
            tracing::warn!(error = %chain(error), "the registry does not answer; going on with what is known");
        }
    }

    fn is_in_conflict(&self, holder: Uuid) {
        self.0.table.lock().stop();
        let health = Health::Conflict(holder);
        if self.0.health.send_replace(health.clone()) != health {
            tracing::error!(
                address = %self.0.config.address, %holder,
                "another process holds this node's address; no new clients until it is gone: give each node an address of its own"
            );
        }
    }

    /// After a pause of this process its lease may be gone, and others may have taken its clients:
    /// the beat that is overdue comes before the next connection.
    pub(super) async fn renew_if_overdue(&self, deadline: Instant) {
        let late = self.0.config.lease * 2 / 3;
        let mut renewed = self.0.renewed.subscribe();
        if renewed.borrow_and_update().elapsed() > late && self.health() == Health::Up {
            self.0.renew_now.notify_one();
            let _ = tokio::time::timeout_at(deadline, renewed.changed()).await;
        }
    }
}
