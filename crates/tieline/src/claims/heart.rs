//! Keeps the lease, and notices when it is lost, when the registry is away, and when it is back.

use std::time::Duration;

use tieline_registry::{Beat, Candidate, Join, RegistryError, Session, Tenure};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Claims, Health, Local, Surroundings};
use crate::cluster::chain;

/// Bounds of the pause before a registry that did not answer is asked again; full jitter, so that
/// nodes do not come back all at once.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Beats, for ever.
pub(super) async fn run<S: Surroundings>(claims: Claims<S>) {
    let inner = &*claims.0;
    let interval = inner.terms.lease / 3;
    let mut failures = 0;
    let mut wrong_counts = 0;
    let mut next = Instant::now() + interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = inner.alarm.notified() => {}
        }
        match claims.beat().await {
            Ok(tenure) => {
                failures = 0;
                next = Instant::now() + interval;
                wrong_counts = match tenure {
                    Some(tenure) if claims.miscounts(&tenure) => wrong_counts + 1,
                    _ => 0,
                };
                if wrong_counts == 2 {
                    tracing::info!(
                        "the registry has another count of entries than this node; comparing"
                    );
                    wrong_counts = 0;
                    inner.upkeep.compare();
                }
            }
            Err(error) => {
                claims.is_down(&error);
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

impl<S: Surroundings> Claims<S> {
    /// One beat, and what it takes to be joined after it. The tenure, unless the address is another's.
    async fn beat(&self) -> Result<Option<Tenure>, RegistryError> {
        let inner = &*self.0;
        let Some(session) = inner.session.lock().clone() else {
            return self.join().await;
        };
        let now = inner.clock.now();
        match self
            .timely("renew the lease", inner.registry.beat(&session, now))
            .await?
        {
            Beat::Renewed(tenure) => {
                self.learn(&tenure);
                self.go_on(session).await?;
                self.is_up();
                Ok(Some(tenure))
            }
            Beat::Revived(tenure) => {
                tracing::warn!("the lease had run out; claiming all connections again");
                self.learn(&tenure);
                self.joined(session);
                Ok(Some(tenure))
            }
            Beat::Lost => {
                tracing::warn!("the registry has lost this node; joining again");
                self.lost();
                self.join().await
            }
        }
    }

    /// Resumes where an answer was missing: behind a fence, where the registry has one.
    async fn go_on(&self, session: Session) -> Result<(), RegistryError> {
        let inner = &*self.0;
        if inner.slots.lock().is_joined() {
            return Ok(());
        }
        let fenced = self.timely("fence", inner.registry.fence(&session));
        let Some(session) = fenced.await? else {
            self.lost();
            self.join().await?;
            return Ok(());
        };
        *inner.session.lock() = Some(session.clone());
        inner.slots.lock().resumed(session);
        inner.bell.notify_one();
        inner.upkeep.ring();
        Ok(())
    }

    /// Takes the address; where another process holds it, looks whether it is still there.
    pub(super) async fn join(&self) -> Result<Option<Tenure>, RegistryError> {
        match self.try_join(None).await? {
            Ok(tenure) => return Ok(Some(tenure)),
            Err(holder) => {
                // Is the holder a former life of ours? Then its address leads to us.
                let surroundings = self.0.surroundings.upgrade();
                let answering = match surroundings {
                    Some(cluster) => cluster.probe().await,
                    None => None,
                };
                if answering == Some(self.0.terms.process)
                    && let Ok(tenure) = self.try_join(Some(holder)).await?
                {
                    return Ok(Some(tenure));
                }
                self.is_in_conflict(holder);
            }
        }
        Ok(None)
    }

    async fn try_join(&self, replace: Option<Uuid>) -> Result<Result<Tenure, Uuid>, RegistryError> {
        let inner = &*self.0;
        let candidate = Candidate {
            address: inner.terms.address.clone(),
            process: inner.terms.process,
            replace,
            previous: inner.session.lock().clone(),
            now: inner.clock.now(),
            lease: inner.terms.lease,
        };
        match self.timely("join", inner.registry.join(&candidate)).await? {
            Join::Joined(session, tenure) => {
                self.learn(&tenure);
                self.joined(session);
                Ok(Ok(tenure))
            }
            Join::Busy(holder) => Ok(Err(holder)),
        }
    }

    fn joined(&self, session: Session) {
        let inner = &*self.0;
        *inner.session.lock() = Some(session.clone());
        inner.slots.lock().joined(session);
        inner.bell.notify_one();
        inner.upkeep.compare();
        self.is_up();
    }

    fn lost(&self) {
        self.0.slots.lock().stop();
        *self.0.lost.lock() = Some(Instant::now());
    }

    fn learn(&self, tenure: &Tenure) {
        self.0.clock.observe(tenure.clock, Local::now());
        self.0.beaten.send_replace(Instant::now());
        self.0.upkeep.foreign(tenure.foreign);
    }

    /// Whether the registry counts other entries for this node than the node does.
    fn miscounts(&self, tenure: &Tenure) -> bool {
        tenure.held.is_some_and(|held| held != self.entries())
    }

    fn is_up(&self) {
        let before = self.0.health.send_replace(Health::Up);
        if before != Health::Up {
            tracing::info!(address = %self.0.terms.address, "in the registry");
            self.0.upkeep.compare();
        }
    }

    fn is_down(&self, error: &RegistryError) {
        let before = self.0.health.send_replace(Health::Down);
        if before != Health::Down {
            tracing::warn!(error = %chain(error), "the registry does not answer; going on with what is known");
        }
    }

    fn is_in_conflict(&self, holder: Uuid) {
        self.0.slots.lock().stop();
        let health = Health::Conflict(holder);
        if self.0.health.send_replace(health.clone()) != health {
            tracing::error!(
                address = %self.0.terms.address, %holder,
                "another process holds this node's address; no new clients until it is gone: give each node an address of its own"
            );
        }
    }

    /// After a pause of this process its lease may be gone, and others may have taken its clients:
    /// the beat that is overdue comes before the next connection.
    pub(super) async fn make_up_a_beat(&self, deadline: Instant) {
        let late = self.0.terms.lease * 2 / 3;
        let mut beaten = self.0.beaten.subscribe();
        if beaten.borrow_and_update().elapsed() > late && self.health() == Health::Up {
            self.0.alarm.notify_one();
            let _ = tokio::time::timeout_at(deadline, beaten.changed()).await;
        }
    }
}
