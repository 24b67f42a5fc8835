//! The suite against registries that are wrong in one way each: it must name the scenario.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Bench, Doing, MemoryBench, Report, Skipped, run};
use crate::{
    ClientId,
    registry::{
        Answer, Beat, Candidate, Claim, Claimed, Cursor, Entry, Expired, Join, Member, Page,
        Registry, Release, Released, Session, Stamp,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Whoever asks last has the id.
    IgnoresStamps,
    /// Whoever releases an id deletes it.
    ReleasesAll,
    /// A lease that ran out is reaped whatever became of it.
    ReapsTheLiving,
    /// An address is anyone's.
    NeverBusy,
    /// What was released stays in the list.
    ForgetsNothing,
    /// One answer too few.
    DropsAVerdict,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Registry>,
    fault: Fault,
    executed: AtomicU64,
}

impl Broken {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

impl Registry for Broken {
    fn join<'a>(&'a self, candidate: &'a Candidate) -> Answer<'a, Join> {
        Box::pin(async move {
            match self.inner.join(candidate).await? {
                Join::Busy(holder) if self.is(Fault::NeverBusy) => {
                    let mut candidate = candidate.clone();
                    candidate.replace = Some(holder);
                    self.inner.join(&candidate).await
                }
                join => Ok(join),
            }
        })
    }

    fn beat<'a>(&'a self, session: &'a Session, now: Stamp) -> Answer<'a, Beat> {
        self.inner.beat(session, now)
    }

    fn leave<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        self.inner.leave(session)
    }

    fn members(&self) -> Answer<'_, Vec<Member>> {
        self.inner.members()
    }

    fn claim<'a>(&'a self, session: &'a Session, claims: &'a [Claim]) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let mut claims = claims.to_vec();
            if self.is(Fault::IgnoresStamps) {
                for claim in &mut claims {
                    let order = self.executed.fetch_add(1, Ordering::Relaxed);
                    claim.stamp = Stamp(order + (1 << 50));
                }
            }
            let mut claimed = self.inner.claim(session, &claims).await?;
            if let Claimed::Verdicts(verdicts) = &mut claimed
                && self.is(Fault::DropsAVerdict)
                && verdicts.len() > 1_000
            {
                verdicts.pop();
            }
            Ok(claimed)
        })
    }

    fn release<'a>(
        &'a self,
        session: &'a Session,
        releases: &'a [Release],
    ) -> Answer<'a, Released> {
        Box::pin(async move {
            for release in releases.iter().filter(|_| self.is(Fault::ReleasesAll)) {
                let Some(entry) = self.inner.locate(&release.id, true).await? else {
                    continue;
                };
                // Whoever has it gives it back.
                let process = self.inner.members().await?.into_iter();
                let process = process.filter(|member| member.address == entry.address);
                for member in process {
                    let owner = Session {
                        address: member.address,
                        process: member.process,
                        ..session.clone()
                    };
                    let release = Release {
                        id: release.id.clone(),
                        upto: Stamp(u64::MAX),
                    };
                    self.inner.release(&owner, &[release]).await?;
                }
            }
            if self.is(Fault::ForgetsNothing) {
                return Ok(Released::Done);
            }
            self.inner.release(session, releases).await
        })
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> Answer<'a, Option<Entry>> {
        self.inner.locate(id, fresh)
    }

    fn held<'a>(&'a self, session: &'a Session, from: Cursor) -> Answer<'a, Page<ClientId>> {
        self.inner.held(session, from)
    }

    fn expired(&self) -> Answer<'_, Vec<Expired>> {
        self.inner.expired()
    }

    fn reap<'a>(&'a self, expired: &'a Expired, most: usize) -> Answer<'a, bool> {
        Box::pin(async move {
            if self.is(Fault::ReapsTheLiving) {
                self.inner.clear(&expired.address).await?;
            }
            self.inner.reap(expired, most).await
        })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> Answer<'a, ()> {
        self.inner.set(id, address)
    }

    fn delete<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.inner.delete(id)
    }

    fn clear<'a>(&'a self, address: &'a str) -> Answer<'a, u64> {
        self.inner.clear(address)
    }

    fn all(&self, from: Cursor) -> Answer<'_, Page<(ClientId, Arc<str>)>> {
        self.inner.all(from)
    }
}

/// A bench that can neither wipe nor restore.
struct Workshop {
    inner: MemoryBench,
    fault: Fault,
}

impl Bench for Workshop {
    fn registry(&self) -> Doing<'_, Arc<dyn Registry>> {
        Box::pin(async {
            Arc::new(Broken {
                inner: self.inner.registry().await,
                fault: self.fault,
                executed: AtomicU64::new(0),
            }) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> std::time::Duration {
        self.inner.lease()
    }

    fn pass(&self, time: std::time::Duration) -> Doing<'_, ()> {
        self.inner.pass(time)
    }

    fn wipe(&self) -> Doing<'_, Result<(), Skipped>> {
        self.inner.wipe()
    }
}

fn play_all(fault: Fault) -> Report {
    let inner = MemoryBench::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    runtime.block_on(run(&Workshop { inner, fault }))
}

#[test]
fn a_right_registry_passes_and_what_its_bench_lacks_is_named() {
    let report = play_all(Fault::None);
    assert_eq!(report.failed(), [""; 0], "{report}");
    assert_eq!(
        report.skipped(),
        ["failover_loses_claim", "failover_revives_entry"]
    );
    assert!(
        report
            .to_string()
            .contains("failover_loses_claim was skipped: ")
    );
}

#[test]
fn every_fault_is_found_by_name() {
    let found_by = [
        (Fault::IgnoresStamps, "older_claim_executes_last"),
        (Fault::IgnoresStamps, "retry_beats_newer"),
        (Fault::IgnoresStamps, "the_later_stamp_wins"),
        (Fault::ReleasesAll, "a_release_spares_the_newer"),
        (Fault::ReleasesAll, "wipe_restarts_generations"),
        (Fault::ReapsTheLiving, "reaper_meets_beat"),
        (Fault::ReapsTheLiving, "reaping_stops_at_a_renewed_lease"),
        (Fault::NeverBusy, "twin_ping_pong"),
        (Fault::NeverBusy, "late_join"),
        (Fault::ForgetsNothing, "grant_lost_then_disconnect"),
        (Fault::ForgetsNothing, "nothing_is_left"),
        (Fault::DropsAVerdict, "large_batches_are_one_call"),
    ];
    for (fault, scenario) in found_by {
        let failed = play_all(fault).failed();
        assert!(
            failed.contains(&scenario),
            "{fault:?} is not found by {scenario}: {failed:?}"
        );
    }
}

#[test]
fn verdicts_tell_what_they_saw() {
    let report = play_all(Fault::IgnoresStamps);
    let (_, outcome) = report
        .outcomes()
        .find(|(name, _)| *name == "older_claim_executes_last")
        .expect("it was played");
    assert!(format!("{outcome:?}").contains("I4"), "{outcome:?}");
}
