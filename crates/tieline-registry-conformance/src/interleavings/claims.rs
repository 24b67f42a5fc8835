//! Claims, releases and evict requests that overtake each other or get lost.
//!
//! Proves that the connection that arrived last owns the id, in whatever order requests execute.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{ID, NODE_A, NODE_B, Simulation},
};

/// Connection 1 arrives at A, then connection 2 at B. B's claim executes first, A's last.
/// Connection 2 must win: the order of arrival decides, not the order of execution.
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

/// A's claim executes. Connection 2 arrives at B, is granted the id, and its evict request reaches
/// A before A's own grant does. A must not keep connection 1 because of that late grant.
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

/// A's claim executes. Connection 2 takes the id at B, but ends before its grant arrives, and B
/// releases the id. Then the evict request and A's old grant reach A. Connection 1 must have the id
/// again.
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

/// A's connection ends while its claim is in flight. The claim executes and the reply is lost. A
/// must release what it may have been granted.
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

/// A's claim times out and the connection ends, so A releases the id. Then the claim executes. No
/// entry may stay.
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

/// A's claim times out, and its retry is granted. Then the first claim executes, and once more
/// after connection 2 has taken the id at B. Neither may change the owner.
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

/// A's claim executes, but the reply is lost. Connection 2 claims the id at B, and A's retry
/// executes after it. Connection 2 must win: a retry keeps the stamp of its connection.
pub(crate) async fn retry_after_newer_claim(harness: &dyn RegistryHarness) -> ScenarioResult {
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

/// Connection 2 takes the id at B, and the evict request to A is lost. The entry must name B at
/// once. Connection 1 must close after two renewals whose entry counts differ, where the registry
/// reports counts, or else with the next audit.
pub(crate) async fn evict_lost(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.drop_evicts();
    sim.assert_connections(&[(NODE_A, 1), (NODE_B, 2)]);
    let entry = expect_reply(sim.registry.locate(ID, true).await).entry();
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

/// An evict request from earlier reaches B after connection 3 has arrived there. By a wrong clock,
/// the stamp of connection 3 is below that of the claim that caused the request. Connection 3 must
/// stay.
pub(crate) async fn stale_evict_with_wrong_clock(harness: &dyn RegistryHarness) -> ScenarioResult {
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

/// Connection 1 arrives at A while the process is paused, so that it waits to be accepted.
/// Connection 2 registers at B, then A continues. Connection 2 must win: the stamp of connection 1
/// is that of its arrival, not of its accept.
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

/// Node A has two clients. The reply to x's claim is lost, so A takes a new fencing token while y's
/// claim is in flight. If the old token rejects y's claim, A must repeat that claim without a new
/// token, which would reject x's claim in turn.
pub(crate) async fn fence_with_claim_in_flight(harness: &dyn RegistryHarness) -> ScenarioResult {
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
        "a claim rejected by an old fencing token is repeated in the session"
    );
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_A, 2)]);

    // A claim that executes late must be rejected by the fencing token; without one, a sweep
    // removes it.
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

/// Connection 2 arrives at A and has its stamp, but waits to be accepted. Connection 1 ends, and A
/// releases the id. After connection 2 is registered, a copy of the release executes. It must not
/// remove the entry of connection 2: a release names the stamp of its own entry, not the time.
pub(crate) async fn late_release_of_earlier_connection(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    let stamp = sim.arrive(2, ID);
    sim.now();
    sim.disconnect(NODE_A);
    sim.send(NODE_A).await;
    let late = sim.copy_of_request(NODE_A);
    sim.execute_next(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.accept(NODE_A, 2, ID, stamp);
    sim.round_trip(NODE_A).await;
    sim.execute(&late).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 2)]);
    Ok(())
}
