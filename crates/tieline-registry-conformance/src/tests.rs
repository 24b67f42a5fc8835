//! The suite against registries that differ: what is wrong must be found by name, what the contract
//! leaves open must pass.

mod altered;

use std::{sync::Arc, time::Duration};

use tieline_registry::Registry;

use self::altered::{Altered, Manner};
use super::{Bench, Doing, MemoryBench, Report, Skipped, run};

/// A bench that can neither wipe nor restore.
struct Workshop {
    inner: MemoryBench,
    manner: Manner,
}

impl Bench for Workshop {
    fn registry(&self) -> Doing<'_, Arc<dyn Registry>> {
        Box::pin(async {
            let inner = self.inner.registry().await;
            Arc::new(Altered::new(inner, self.manner)) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> Duration {
        self.inner.lease()
    }

    fn pass(&self, time: Duration) -> Doing<'_, ()> {
        self.inner.pass(time)
    }

    fn wipe(&self) -> Doing<'_, Result<(), Skipped>> {
        self.inner.wipe()
    }
}

fn play_all(manner: Manner) -> Report {
    let inner = MemoryBench::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    runtime.block_on(run(&Workshop { inner, manner }))
}

#[test]
fn a_right_registry_passes_and_what_its_bench_lacks_is_named() {
    let report = play_all(Manner::AsItIs);
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
fn a_registry_whose_entries_go_with_their_lease_passes() {
    let report = play_all(Manner::EntriesGoWithTheLease);
    assert_eq!(report.failed(), [""; 0], "{report}");
}

#[test]
fn every_fault_is_found_by_name() {
    let found_by = [
        (Manner::IgnoresStamps, "older_claim_executes_last"),
        (Manner::IgnoresStamps, "retry_beats_newer"),
        (Manner::IgnoresStamps, "the_later_stamp_wins"),
        (Manner::ReleasesAll, "a_release_spares_the_newer"),
        (Manner::ReleasesAll, "wipe_restarts_generations"),
        (Manner::ReapsTheLiving, "reaper_meets_beat"),
        (Manner::ReapsTheLiving, "reaping_stops_at_a_renewed_lease"),
        (Manner::NeverBusy, "twin_ping_pong"),
        (Manner::NeverBusy, "late_join"),
        (Manner::ForgetsNothing, "grant_lost_then_disconnect"),
        (Manner::ForgetsNothing, "nothing_is_left"),
        (Manner::DropsAVerdict, "large_batches_are_one_call"),
    ];
    for (manner, scenario) in found_by {
        let failed = play_all(manner).failed();
        assert!(
            failed.contains(&scenario),
            "{manner:?} is not found by {scenario}: {failed:?}"
        );
    }
}

#[test]
fn a_failure_names_the_invariant() {
    let named = [
        // Claims that always win chase each other.
        (Manner::IgnoresStamps, "older_claim_executes_last", "I5"),
        (Manner::ForgetsNothing, "grant_lost_then_disconnect", "I2"),
        (Manner::ReapsTheLiving, "reaper_meets_beat", "I3"),
    ];
    for (manner, scenario, invariant) in named {
        let report = play_all(manner);
        let outcome = report.outcomes().find(|(name, _)| *name == scenario);
        let (_, outcome) = outcome.expect("it was played");
        assert!(format!("{outcome:?}").contains(invariant), "{outcome:?}");
    }
}
