//! The suite against registries with a deliberate fault: each fault must be found by the scenario
//! that is about it, and what the contract permits must pass.

mod mutant;

use std::{sync::Arc, time::Duration};

use tieline_registry::Registry;

use self::mutant::{MutantRegistry, Mutation};
use crate::{
    harness::{BoxFuture, RegistryHarness, Skipped},
    memory::MemoryHarness,
    report::{Outcome, Report, catch_outcome},
    suite::{SCENARIOS, run},
};

/// A harness with a faulty registry. With a correct one, it can wipe its store but not restore it.
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

    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        match self.mutation {
            Mutation::None => Box::pin(async { Err(Skipped::new("it cannot restore its store")) }),
            _ => self.inner.snapshot(),
        }
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        self.inner.restore()
    }
}

fn play_all(mutation: Mutation) -> Report {
    play_on(mutation, |harness| Box::pin(run(harness)))
}

/// Plays one scenario. What is wrong with the registry, if it finds anything.
fn play_one(mutation: Mutation, name: &str) -> Option<String> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.expect("the scenario is in the suite");
    let outcome = play_on(mutation, |harness| {
        Box::pin(catch_outcome(scenario.play(harness)))
    });
    match outcome {
        Outcome::Failed(why) => Some(why),
        Outcome::Passed | Outcome::Skipped(_) => None,
    }
}

fn play_on<T>(
    mutation: Mutation,
    play: impl for<'a> FnOnce(&'a FaultyHarness) -> BoxFuture<'a, T>,
) -> T {
    let inner = MemoryHarness::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    runtime.block_on(play(&FaultyHarness { inner, mutation }))
}

#[test]
fn a_correct_registry_passes_and_the_report_names_skipped_scenarios() {
    let report = play_all(Mutation::None);
    assert_eq!(report.failed(), [""; 0], "{report}");
    assert_eq!(
        report.skipped(),
        [
            "failover_loses_claim",
            "failover_revives_entry",
            "acknowledged_put_lost",
            "loss_hidden_by_the_next_put",
            "old_term_ended_first",
            "old_term_runs_out",
            "journal_forked",
            "page_of_a_lost_journal",
        ]
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
        (Mutation::IgnoresNumbers, "late_put_after_leave"),
        (Mutation::IgnoresNumbers, "random_puts_converge"),
        (Mutation::HidesLoss, "acknowledged_put_lost"),
        (Mutation::HidesLoss, "loss_hidden_by_the_next_put"),
        (Mutation::IgnoresLimit, "full"),
        (Mutation::IgnoresHold, "registry_stood_still"),
        (Mutation::EndsAtOnce, "drain_and_return"),
        (Mutation::IgnoresBreaks, "journal_replaced"),
        (Mutation::IgnoresBreaks, "journal_forked"),
        (Mutation::IgnoresBreaks, "journal_trimmed"),
        (
            Mutation::SkipsTransitions,
            "a_roster_is_told_first_in_last_out",
        ),
        (Mutation::SkipsTransitions, "random_puts_converge"),
        (
            Mutation::RepeatsTransitions,
            "a_roster_is_told_first_in_last_out",
        ),
        (Mutation::RepeatsTransitions, "crash_is_told"),
        (Mutation::SharesTheHook, "moved_then_posted"),
        (
            Mutation::KeepsFirstValue,
            "a_put_replaces_the_value_and_its_time",
        ),
        (Mutation::KeepsValuesLonger, "a_value_ends_with_its_time"),
        (
            Mutation::KeepsValuesLonger,
            "a_put_replaces_the_value_and_its_time",
        ),
        (Mutation::CutsValues, "values_out_of_bounds_are_refused"),
        (
            Mutation::IgnoresNamespaces,
            "values_of_namespaces_are_apart",
        ),
        (Mutation::DropsValuesWithNodes, "a_value_belongs_to_no_node"),
    ];
    for (mutation, scenario) in found_by {
        let found = play_one(mutation, scenario).is_some();
        assert!(found, "{scenario} must find {mutation:?}");
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
        (Mutation::HidesLoss, "acknowledged_put_lost", "I1"),
        (Mutation::RepeatsTransitions, "crash_is_told", "I2"),
        (Mutation::IgnoresHold, "registry_stood_still", "I4"),
    ];
    for (mutation, scenario, invariant) in named {
        let why = play_one(mutation, scenario).unwrap_or_default();
        assert!(why.contains(invariant), "{mutation:?}: {why}");
    }
}
