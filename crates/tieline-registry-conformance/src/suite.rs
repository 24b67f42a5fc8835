//! The list of scenarios, and the ways to run them.

use crate::{
    contract,
    harness::{BoxFuture, RegistryHarness, ScenarioResult, Skipped},
    interleavings,
    report::{self, Report},
};

/// One test.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    play: for<'a> fn(&'a dyn RegistryHarness) -> BoxFuture<'a, ScenarioResult>,
}

impl Scenario {
    /// Plays it on an empty store. Panics where the registry is wrong.
    pub async fn play(&self, harness: &dyn RegistryHarness) -> Result<(), Skipped> {
        (self.play)(harness).await
    }
}

/// Plays every scenario, one after the other, whatever becomes of each.
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

/// Plays one scenario by its name, for a test of its own; says on standard error if it was skipped.
///
/// # Panics
///
/// Where the registry is wrong, or there is no such scenario.
pub async fn play(name: &str, harness: &dyn RegistryHarness) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.unwrap_or_else(|| panic!("no scenario is called {name}"));
    if let Err(skipped) = scenario.play(harness).await {
        report::print_skipped(name, &skipped);
    }
}

/// Lists the scenarios once, for [`SCENARIOS`] and for the macro. `$d` is the dollar of the inner macro.
macro_rules! scenarios {
    (($d:tt) $($part:ident::$module:ident { $($name:ident)* })*) => {
        /// Every scenario.
        pub const SCENARIOS: &[Scenario] = &[$($(Scenario {
            name: stringify!($name),
            play: |harness| Box::pin($part::$module::$name(harness)),
        },)*)*];

        /// One test for each scenario: `conformance_tests!(run, harness)`, where `run` runs a future to
        /// its end and `harness` is an expression that makes a
        /// [`RegistryHarness`](crate::RegistryHarness), anew for each test.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d run:expr, $d harness:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $d run(async {
                            let harness = $d harness;
                            $d crate::play(stringify!($name), &harness).await;
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
        retry_beats_newer
        evict_lost
        evict_meets_wrong_clock
        backlog_of_paused_node
        fence_storm
    }
    interleavings::sessions {
        crash_with_claim_in_flight
        ghost_of_previous_life
        twin_ping_pong
        twin_join_purges
        late_join
    }
    interleavings::leases {
        grant_before_lost_lease
        reaper_meets_beat
        registry_back_after_lease
        emit_after_registry_pause
        reclaim_races_reaper
        crash_is_reaped
    }
    interleavings::stores {
        wipe_before_answer
        wipe_lets_older_reclaim
        wipe_restarts_generations
        wipe_hides_a_grant_from_a_foreign_write
        failover_loses_claim
        failover_revives_entry
    }
    interleavings::foreign_writes {
        foreign_hdel
        client_moved_to_go
        generation_leak
        emit_follows_moves
    }
    interleavings::random {
        random_orders_come_to_rest
    }
    contract::sessions {
        a_live_address_is_busy
        a_process_known_to_be_gone_is_replaced
        an_expired_address_is_free
        joining_again_keeps_the_address
        a_beat_keeps_the_lease_alive
        a_beat_after_the_lease_tells
        a_beat_of_a_replaced_process_is_lost
        the_clock_never_goes_back
        a_tenure_counts
        members_come_and_leave
        a_fence_stops_what_is_late
    }
    contract::claims {
        the_later_stamp_wins
        a_claim_may_be_repeated
        a_held_claim_yields_to_a_foreign_write
        an_exclusive_claim_displaces_nobody
        an_exclusive_claim_takes_from_the_dead
        its_own_address_is_not_foreign
        claims_need_a_lease
        claims_of_a_replaced_process_are_lost
        a_release_spares_the_newer
        a_release_takes_what_lost_its_stamp
        the_shadow_answers_after_a_deletion
        odd_ids_are_ids
    }
    contract::random {
        random_operations_follow_the_rule
    }
    contract::bulk {
        set_get_delete
        clear_spares_other_addresses
        large_batches_are_one_call
        a_walk_shows_all
        held_shows_an_address
        reaping_goes_in_chunks
        reaping_stops_at_a_renewed_lease
        nothing_is_left
    }
}
