//! Claims, releases and evictions that overtake each other or get lost.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{ID, NODE_A, NODE_B, Simulation},
};

/// c1A c2B sA sB xB xA rA rB evict(B): the order of arrival decides, not that of execution.
pub(crate) async fn older_claim_executes_last(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.connect(NODE_B, 2);
    sim.send(NODE_A).await;
    sim.send(NODE_B).await;
    sim.execute_next(NODE_B).await;
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.deliver_reply(NODE_B);
    sim.deliver_stale_evict(NODE_B);
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// c1A sA xA c2B sB xB rB evict(A) rA: A must not take the grant for the last word.
pub(crate) async fn evict_overtakes_grant(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.deliver_evicts();
    sim.deliver_reply(NODE_A);
    sim.flush(NODE_A).await;
    sim.assert_connections(&[(NODE_B, 2)]);
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// c1A sA xA c2B sB dB xB rB, release, evict(A), rA: the winner is gone, the loser has its id again.
pub(crate) async fn winner_leaves_before_grant(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.connect(NODE_B, 2);
    sim.send(NODE_B).await;
    sim.disconnect(NODE_B);
    sim.execute_next(NODE_B).await;
    sim.deliver_reply(NODE_B);
    sim.round_trip(NODE_B).await;
    sim.deliver_stale_evict(NODE_A);
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// c1A sA dA xA, the answer lost: what A may have is given back.
pub(crate) async fn grant_lost_then_disconnect(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.disconnect(NODE_A);
    sim.execute_next(NODE_A).await;
    sim.time_out(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// c1A sA dA timeout, release; then the claim executes.
pub(crate) async fn late_claim_after_release(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.disconnect(NODE_A);
    let late = sim.time_out(NODE_A);
    sim.round_trip(NODE_A).await;
    sim.execute(&late).await;
    sim.converge_with_audits().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// c1A sA timeout sA xA rA; then the first claim executes, and once more after a newer one.
pub(crate) async fn late_claim_after_retry(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    let late = sim.time_out(NODE_A);
    sim.round_trip(NODE_A).await;
    sim.execute(&late).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);

    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.execute(&late).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// c1A sA xA, the answer lost; c2B; A sends again; xB xA: a retry is as old as its connection.
pub(crate) async fn retry_beats_newer(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.time_out(NODE_A);
    sim.connect(NODE_B, 2);
    sim.send(NODE_A).await;
    sim.send(NODE_B).await;
    sim.execute_next(NODE_B).await;
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.deliver_reply(NODE_B);
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// c1A sxrA c2B sxrB, the eviction lost: routing is right at once, and two beats or an audit close the
/// older one.
pub(crate) async fn evict_lost(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.drop_evicts();
    sim.assert_connections(&[(NODE_A, 1), (NODE_B, 2)]);
    let entry = expect_reply(sim.registry.locate(ID, true).await);
    let address = entry.expect("a registered client has an entry").address;
    assert_eq!(address, sim.address(NODE_B));
    if sim.reports_entry_count(NODE_A).await {
        sim.renew(NODE_A).await;
        sim.renew(NODE_A).await;
        sim.flush(NODE_A).await;
        sim.assert_connections(&[(NODE_B, 2)]);
    }
    sim.converge_with_audits().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// An eviction of long ago reaches a connection whose stamp, by a wrong clock, is below that of the
/// claim which caused it.
pub(crate) async fn evict_meets_wrong_clock(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_B, 1);
    sim.round_trip(NODE_B).await;
    let early = sim.now();
    sim.connect(NODE_A, 2);
    sim.round_trip(NODE_A).await;
    sim.disconnect(NODE_B);
    sim.flush(NODE_B).await;
    sim.disconnect(NODE_A);
    sim.flush(NODE_A).await;
    let late = sim.arrive(3, ID);
    assert!(early < late);
    sim.accept(NODE_B, 3, ID, early);
    sim.round_trip(NODE_B).await;
    sim.deliver_evicts();
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 3)]);
    Ok(())
}

/// A paused, c1A waits, c2B registered, A resumes: c1 is as old as its arrival.
pub(crate) async fn backlog_of_paused_node(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.pause(NODE_A);
    let stamp = sim.arrive(1, ID);
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.wake_up(NODE_A);
    sim.accept(NODE_A, 1, ID, stamp);
    sim.round_trip(NODE_A).await;
    sim.assert_connections(&[(NODE_B, 2)]);
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// Two clients of A: x's answer is lost, so a fence goes up while y's claim is on its way. What that
/// fences off is tried again, and must not fence off x in turn.
pub(crate) async fn fence_storm(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect_as(NODE_A, 1, "x");
    sim.send(NODE_A).await;
    sim.connect_as(NODE_A, 2, "y");
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    let before = sim.session(NODE_A);
    sim.time_out(NODE_A);
    sim.send(NODE_A).await;
    let fenced = sim.session(NODE_A) != before;
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    assert!(
        sim.is_joined(NODE_A),
        "what an old fence stops is only tried again"
    );
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_A, 2)]);

    // What is late must not stand again behind the fence; without one, the sweep finds it.
    sim.connect_as(NODE_A, 3, "z");
    sim.send(NODE_A).await;
    sim.disconnect_as(NODE_A, "z");
    let late = sim.time_out(NODE_A);
    sim.round_trip(NODE_A).await;
    let answer = sim.execute(&late).await;
    assert!(!fenced || answer == ClaimReply::Claims(ClaimOutcomes::Lost));
    sim.converge_with_audits().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_A, 2)]);
    Ok(())
}
