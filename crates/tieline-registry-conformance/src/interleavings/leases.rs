//! Leases that run out while their node is away, or the registry is.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{EmitOutcome, ID, NODE_A, NODE_B, Simulation},
};

/// A back from a pause: sA xA, reaped, join, rA: the grant is of before the loss.
pub(crate) async fn grant_before_lost_lease(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.pause(NODE_A);
    sim.expire_leases(&[NODE_A]).await;
    sim.reap_round().await;
    sim.reap_round().await;
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await),
        None,
        "A is gone"
    );
    sim.wake_up(NODE_A);
    sim.renew(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A lease has run out, the reaper starts, A beats and claims again; the next chunk must stop.
pub(crate) async fn reaper_meets_beat(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    for (number, name) in ["x", "y", "z"].into_iter().enumerate() {
        sim.connect_as(NODE_A, u32::try_from(number).expect("three") + 1, name);
    }
    sim.flush(NODE_A).await;
    sim.pause(NODE_A);
    sim.expire_leases(&[NODE_A]).await;
    sim.wake_up(NODE_A);
    let expired = sim.find_expired().await;
    for expired in &expired {
        assert!(sim.reap(expired, 1).await, "two of three are left");
    }
    sim.renew(NODE_A).await;
    sim.flush(NODE_A).await;
    for expired in &expired {
        assert!(!sim.reap(expired, 512).await, "the lease lives");
    }
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_A, 2), (NODE_A, 3)]);
    Ok(())
}

/// The registry was away for longer than a lease, its data kept: the reaper comes before the beats.
pub(crate) async fn registry_back_after_lease(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.expire_leases(&[NODE_A, NODE_B]).await;
    let stood = expect_reply(sim.registry.locate(ID, true).await);
    sim.reap_round().await;
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await),
        stood,
        "I3: what was seen to have run out only now is reaped"
    );
    sim.renew(NODE_B).await;
    sim.renew(NODE_A).await;
    sim.reap_round().await;
    sim.flush(NODE_A).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// The same, and an emit before the beats: an entry without a lease is tried all the same. Where the
/// registry removes entries with the lease, the client is not registered, and may be Offline.
pub(crate) async fn emit_after_registry_pause(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.expire_leases(&[NODE_A, NODE_B]).await;
    if expect_reply(sim.registry.locate(ID, true).await).is_some() {
        assert_eq!(sim.emit().await, EmitOutcome::Delivered, "I6");
    }
    sim.converge().await;
    assert_eq!(sim.emit().await, EmitOutcome::Delivered, "I6");
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A re-claims in a lease that has run out, the reaper removes, A re-claims …: nothing is written
/// without a lease.
pub(crate) async fn reclaim_races_reaper(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.expire_leases(&[NODE_A]).await;
    sim.deliver_stale_evict(NODE_A);
    sim.send(NODE_A).await;
    let reclaim = sim.time_out(NODE_A);
    let lost = ClaimReply::Claims(ClaimOutcomes::Lost);
    for _ in 0..3 {
        assert_eq!(sim.execute(&reclaim).await, lost, "the lease has run out");
        sim.reap_round().await;
    }
    assert_eq!(expect_reply(sim.registry.locate(ID, true).await), None);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A dies for good: its entries go, its member goes, and its client is welcome elsewhere meanwhile.
pub(crate) async fn crash_is_reaped(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect_as(NODE_A, 1, "stays away");
    sim.connect_as(NODE_A, 2, ID);
    sim.flush(NODE_A).await;
    sim.crash(NODE_A);
    assert_eq!(
        sim.emit().await,
        EmitOutcome::Unreachable,
        "the lease lives"
    );
    sim.connect(NODE_B, 3);
    sim.round_trip(NODE_B).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 3)]);
    let members = expect_reply(sim.registry.nodes().await);
    let addresses: Vec<_> = members.into_iter().map(|member| member.address).collect();
    assert_eq!(addresses, [sim.address(NODE_B)]);
    Ok(())
}
