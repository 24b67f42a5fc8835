//! Processes that die, restart, or share an address by mistake.
//!
//! Proves that an address belongs to one process at a time, and that nothing of a dead process
//! executes for its successor.

use tieline_registry::{ClaimOutcomes, JoinOutcome, JoinRequest, Renewal, claim_table::ClaimReply};

use crate::{
    expect::{expect_reply, report_at},
    harness::{RegistryHarness, ScenarioResult},
    simulation::{DUPLICATE_OF_A, ID, NODE_A, NODE_B, Simulation},
};

/// A crashes with a claim in flight, restarts and joins, and connection 2 registers at B. Then the
/// claim executes in the old session. The registry must reject it.
pub(crate) async fn crash_with_claim_in_flight(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.connect(NODE_B, 2);
    sim.send(NODE_A).await;
    let late = sim.crash(NODE_A);
    sim.restart(NODE_A);
    sim.renew(NODE_A).await;
    sim.round_trip(NODE_B).await;
    for request in &late {
        let answer = sim.execute(request).await;
        assert_eq!(
            answer,
            ClaimReply::Claims(ClaimOutcomes::Lost),
            "a session of a replaced process must be rejected"
        );
    }
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// A crashes with a claim in flight and restarts. The claim executes before the new process joins.
/// The new process must release the entry, because it has no such connection.
pub(crate) async fn claim_of_crashed_process(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    let late = sim.crash(NODE_A);
    sim.restart(NODE_A);
    for request in &late {
        sim.execute(request).await;
    }
    sim.renew(NODE_A).await;
    sim.converge().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// A second process with A's address tries to join four times. The registry must refuse it each
/// time, and A's lease must stay alive.
pub(crate) async fn duplicate_address_keeps_joining(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::with_duplicate_address(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    let session = sim.session(NODE_A);
    for _ in 0..4 {
        sim.renew(DUPLICATE_OF_A).await;
        assert!(!sim.is_joined(DUPLICATE_OF_A), "the address is taken");
        let now = sim.now();
        let renewal = expect_reply(sim.registry.renew(&session, report_at(now)).await);
        assert!(
            matches!(renewal, Renewal::Renewed(_)),
            "I7: a second process with A's address ended A's lease: {renewal:?}"
        );
    }
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A client is registered at A, and a second process with A's address tries to join. The attempt
/// must remove no entry.
pub(crate) async fn duplicate_address_keeps_entries(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::with_duplicate_address(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect_as(NODE_B, 2, "another");
    sim.round_trip(NODE_B).await;
    sim.renew(DUPLICATE_OF_A).await;
    let entry = expect_reply(sim.registry.locate(ID, true).await).entry();
    let address = entry
        .expect("I7: a second process with A's address removed an entry of A")
        .address;
    assert_eq!(address, sim.address(NODE_A));
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_B, 2)]);
    Ok(())
}

/// A process dies, its successor takes the address, and then a join request of the dead process
/// executes: with no process to replace, with an unknown one, and with itself. The registry must
/// refuse all three.
pub(crate) async fn late_join(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    let dead = sim.session(NODE_A);
    sim.crash(NODE_A);
    sim.restart(NODE_A);
    sim.renew(NODE_A).await;
    let successor = sim.session(NODE_A);
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    let now = sim.now();
    let unknown = uuid::Uuid::now_v7();
    for replace in [None, Some(unknown), Some(dead.process)] {
        let late = JoinRequest {
            address: dead.address.clone(),
            process: dead.process,
            replace,
            previous: None,
            now,
            lease: dead.ttl,
            has_connections: false,
        };
        let join = expect_reply(sim.registry.join(&late).await);
        assert_eq!(
            join,
            JoinOutcome::Busy(successor.process),
            "a late join must not take the address from the successor"
        );
    }
    let renewal = expect_reply(sim.registry.renew(&successor, report_at(now)).await);
    assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}
