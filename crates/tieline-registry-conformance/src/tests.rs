//! The suite against registries with a deliberate fault: each fault must be found by the scenario
//! that is about it, and what the contract permits must pass.

mod mutant;

use std::{sync::Arc, time::Duration};

use tieline_registry::Registry;

use self::mutant::{MutantRegistry, Mutation};
use crate::{
    harness::{BoxFuture, RegistryHarness, Skipped},
    memory::MemoryHarness,
    report::Report,
    suite::run,
};

/// A harness with a faulty registry, which can wipe its store but not restore it.
struct FaultyHarness {
    inner: MemoryHarness,
    mutation: Mutation,
}

impl RegistryHarness for FaultyHarness {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            let inner = self.inner.registry().await;
            Arc::new(MutantRegistry::new(inner, self.mutation)) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> Duration {
        self.inner.lease()
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.inner.pass(time)
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        self.inner.wipe()
    }
}

fn play_all(mutation: Mutation) -> Report {
    let inner = MemoryHarness::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    runtime.block_on(run(&FaultyHarness { inner, mutation }))
}

#[test]
fn a_correct_registry_passes_and_the_report_names_skipped_scenarios() {
    let report = play_all(Mutation::None);
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
fn a_registry_whose_entries_expire_with_the_lease_passes() {
    let report = play_all(Mutation::EntriesExpireWithLease);
    assert_eq!(report.failed(), [""; 0], "{report}");
}

#[test]
fn every_fault_is_found_by_name() {
    let found_by = [
        (Mutation::IgnoresStamps, "older_claim_executes_last"),
        (Mutation::IgnoresStamps, "retry_after_newer_claim"),
        (Mutation::IgnoresStamps, "the_later_stamp_wins"),
        (
            Mutation::ReleasesUnconditionally,
            "a_release_keeps_a_newer_entry",
        ),
        (
            Mutation::ReleasesUnconditionally,
            "release_and_evict_from_before_wipe",
        ),
        (Mutation::ReapsRenewedNodes, "renewal_during_reap"),
        (
            Mutation::ReapsRenewedNodes,
            "reaping_stops_at_a_renewed_lease",
        ),
        (Mutation::NeverBusy, "duplicate_address_keeps_joining"),
        (Mutation::NeverBusy, "late_join"),
        (Mutation::IgnoresReleases, "grant_lost_then_disconnect"),
        (Mutation::IgnoresReleases, "no_data_remains"),
        (Mutation::DropsVerdict, "large_batches_are_one_call"),
        (Mutation::IgnoresLoss, "absence_after_wipe_is_unknown"),
        (Mutation::IgnoresNamespaces, "namespaces_share_no_ids"),
    ];
    for (mutation, scenario) in found_by {
        let failed = play_all(mutation).failed();
        assert!(
            failed.contains(&scenario),
            "{scenario} must find {mutation:?}; it was found by {failed:?}"
        );
    }
}

#[test]
fn a_failure_names_the_invariant() {
    let named = [
        // If the last claim always wins, two nodes claim the id in turn for ever.
        (Mutation::IgnoresStamps, "older_claim_executes_last", "I5"),
        (
            Mutation::IgnoresReleases,
            "grant_lost_then_disconnect",
            "I2",
        ),
        (Mutation::ReapsRenewedNodes, "renewal_during_reap", "I3"),
    ];
    for (mutation, scenario, invariant) in named {
        let report = play_all(mutation);
        let outcome = report.outcomes().find(|(name, _)| *name == scenario);
        let (_, outcome) = outcome.expect("the scenario is in the report");
        assert!(format!("{outcome:?}").contains(invariant), "{outcome:?}");
    }
}
