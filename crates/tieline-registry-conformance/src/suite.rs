//! The list of scenarios, and the ways to run them.

use crate::{
    contract,
    harness::{BoxFuture, RegistryHarness, ScenarioResult, Skipped},
    interleavings, presence,
    report::{self, Report},
};

/// One test of the suite: an order of events, or a part of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The name, unique in the suite.
    pub name: &'static str,
    play: for<'a> fn(&'a dyn RegistryHarness) -> BoxFuture<'a, ScenarioResult>,
}

impl Scenario {
    /// Plays the scenario on an empty store. Returns [`Skipped`] if the harness cannot do what it
    /// needs.
    ///
    /// # Panics
    ///
    /// If the registry does not behave as it must. The message names the broken invariant, if there
    /// is one.
    pub async fn play(&self, harness: &dyn RegistryHarness) -> Result<(), Skipped> {
        (self.play)(harness).await
    }
}

/// Plays every scenario, one after the other, also after one has failed.
pub async fn run(harness: &dyn RegistryHarness) -> Report {
    let mut report = Report::default();
    for scenario in SCENARIOS {
        report.add(
            scenario.name,
            report::catch_outcome(scenario.play(harness)).await,
        );
    }
    report
}

/// Plays one scenario by name. If it is skipped, prints the reason to standard error and returns.
///
/// # Panics
///
/// If the registry does not behave as it must, or no scenario has this name.
pub async fn play(name: &str, harness: &dyn RegistryHarness) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario =
        scenario.unwrap_or_else(|| panic!("there is no scenario {name}; `SCENARIOS` lists them"));
    if let Err(skipped) = scenario.play(harness).await {
        report::print_skipped(name, &skipped);
    }
}

/// Defines [`SCENARIOS`] and `conformance_tests!` from one list, so that no scenario is missing in
/// either. `$d` is the dollar sign of the inner macro.
macro_rules! scenarios {
    (($d:tt) $($part:ident::$module:ident { $($name:ident)* })*) => {
        /// All scenarios, in the order in which [`run`] plays them.
        pub const SCENARIOS: &[Scenario] = &[$($(Scenario {
            name: stringify!($name),
            play: |harness| Box::pin($part::$module::$name(harness)),
        },)*)*];

        /// Makes one `#[test]` for each scenario: `conformance_tests!(run, harness)`.
        ///
        /// `run` is a function that runs a future to its end. `harness` is an expression that makes
        /// a [`RegistryHarness`](crate::RegistryHarness); every test evaluates it once.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d run:expr, $d harness:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $d run(async {
                            let harness = $d harness;
                            $d crate::suite::play(stringify!($name), &harness).await;
                        });
                    }
                )*)*
            };
        }
    };
}

scenarios! {
    ($)
    interleavings::claims {
        older_claim_executes_last
        evict_overtakes_grant
        winner_leaves_before_grant
        grant_lost_then_disconnect
        late_claim_after_release
        late_claim_after_retry
        retry_after_newer_claim
        evict_lost
        stale_evict_with_wrong_clock
        backlog_of_paused_node
        fence_with_claim_in_flight
        late_release_of_earlier_connection
    }
    interleavings::sessions {
        crash_with_claim_in_flight
        claim_of_crashed_process
        duplicate_address_keeps_joining
        duplicate_address_keeps_entries
        late_join
    }
    interleavings::leases {
        grant_delivered_after_reap
        renewal_during_reap
        registry_outage_beyond_lease
        emit_after_registry_outage
        reclaim_races_reaper
        crash_is_reaped
    }
    interleavings::stores {
        wipe_before_reply
        older_connection_reclaims_first
        release_and_evict_from_before_wipe
        foreign_write_after_wipe
        failover_loses_claim
        failover_revives_entry
        absence_after_wipe_is_unknown
    }
    interleavings::foreign_writes {
        foreign_delete_of_newer_entry
        client_moves_to_legacy_node
        disconnect_after_foreign_write
        emit_follows_moves
    }
    interleavings::model {
        traces_of_the_model_converge
        traces_with_expired_leases_converge
    }
    interleavings::random {
        random_interleavings_converge
    }
    presence::terms {
        caller_tells
        late_put_after_leave
        term_opened_again
        beat_between_chunks
        registry_stood_still
        outage_then_move
        drain_and_return
        crash_is_told
        an_ended_term_is_over
    }
    presence::losses {
        second_connection_leaves_after_wipe
        removal_while_settling
        acknowledged_put_lost
        loss_hidden_by_the_next_put
        old_term_ended_first
        old_term_runs_out
        journal_replaced
        journal_forked
        wipe_seen_before_reentry
        settled_behind
        reentry_longer_than_hold
    }
    presence::followers {
        pages_of_two_times
        page_of_a_lost_journal
        followed_ahead_of_the_reader
        journal_trimmed
        moved_then_posted
    }
    presence::random {
        random_puts_converge
    }
    presence::contract {
        a_roster_is_told_first_in_last_out
        nothing_replaces_something
        full
        a_put_of_all_kinds
        large_puts_are_one_call
        unusual_rosters_work
    }
    contract::sessions {
        a_live_address_is_busy
        a_process_known_to_be_gone_is_replaced
        an_expired_address_is_free
        joining_again_keeps_the_address
        a_renewal_keeps_the_lease_alive
        a_late_renewal_reports_the_expiry
        a_renewal_of_a_replaced_process_is_lost
        the_clock_never_goes_back
        lease_info_counts_entries
        nodes_join_and_leave
        a_fence_stops_late_operations
        absence_is_unknown_until_a_node_has_refilled
    }
    contract::claims {
        the_later_stamp_wins
        a_claim_may_be_repeated
        a_held_claim_yields_to_a_foreign_write
        an_exclusive_claim_displaces_nobody
        an_exclusive_claim_takes_from_an_expired_node
        its_own_address_is_not_foreign
        claims_need_a_lease
        claims_of_a_replaced_process_are_lost
        a_release_keeps_a_newer_entry
        a_release_removes_an_entry_without_stamp
        the_shadow_answers_after_a_foreign_delete
        unusual_ids_work
    }
    contract::namespaces {
        namespaces_share_no_ids
        other_programs_reach_the_default_namespace_only
        lease_info_counts_ids_of_all_namespaces
        delete_node_reaches_all_namespaces
        reaping_reaches_all_namespaces
        unusual_namespaces_work
        the_longest_ids_fit_one_batch
    }
    contract::values {
        a_value_is_read_as_it_was_put
        a_put_replaces_the_value_and_its_time
        a_value_ends_with_its_time
        values_of_namespaces_are_apart
        values_out_of_bounds_are_refused
        a_value_belongs_to_no_node
    }
    contract::random {
        random_operations_match_the_reference_model
    }
    contract::bulk {
        set_get_delete
        delete_node_keeps_other_addresses
        large_batches_are_one_call
        a_scan_returns_all_entries
        ids_of_lists_one_address
        reaping_goes_in_chunks
        reaping_stops_at_a_renewed_lease
        no_data_remains
    }
}
