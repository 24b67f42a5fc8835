//! Leases that expire while their node, or the registry, is unreachable.
//!
//! Proves that a node that returns gets its clients back, that the reaper removes only what a dead
//! node left, and that nothing is written without a lease.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{EmitOutcome, ID, NODE_A, NODE_B, Simulation},
};

/// A's claim executes, then A is paused until its lease has expired and its entries are removed. A
/// joins again, and only then gets the old grant. A must not trust the grant: it must claim the id
/// again.
pub(crate) async fn grant_delivered_after_reap(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.pause(NODE_A);
    sim.expire_leases(&[NODE_A]).await;
    sim.reap_round().await;
    sim.reap_round().await;
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await).entry(),
        None,
        "the reaper must have removed the entries of A"
    );
    sim.wake_up(NODE_A);
    sim.renew(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A's lease expires, and the reaper removes one of three entries. A renews its lease and claims
/// again. The reaper's next chunk must remove nothing.
pub(crate) async fn renewal_during_reap(harness: &dyn RegistryHarness) -> ScenarioResult {
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
        assert!(
            sim.reap(expired, 1).await,
            "two of three entries are left to remove"
        );
    }
    sim.renew(NODE_A).await;
    sim.flush(NODE_A).await;
    for expired in &expired {
        assert!(!sim.reap(expired, 512).await, "the lease was renewed");
    }
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_A, 2), (NODE_A, 3)]);
    Ok(())
}

/// The registry is unreachable for longer than the leases, and keeps its data. The first reaper
/// runs before any node renews its lease. It must remove nothing.
pub(crate) async fn registry_outage_beyond_lease(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.expire_leases(&[NODE_A, NODE_B]).await;
    let entry_before = expect_reply(sim.registry.locate(ID, true).await).entry();
    sim.reap_round().await;
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await).entry(),
        entry_before,
        "I3: the reaper removed an entry in the same round in which it first saw the expiry"
    );
    sim.renew(NODE_B).await;
    sim.renew(NODE_A).await;
    sim.reap_round().await;
    sim.flush(NODE_A).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// As [`registry_outage_beyond_lease`], with an emit before the renewals. An entry without a lease
/// must still be tried. Where the registry removes entries with their lease, the client is not
/// registered then, and `Offline` is right.
pub(crate) async fn emit_after_registry_outage(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.expire_leases(&[NODE_A, NODE_B]).await;
    if expect_reply(sim.registry.locate(ID, true).await)
        .entry()
        .is_some()
    {
        assert_eq!(
            sim.emit().await,
            EmitOutcome::Delivered,
            "I6: the client was registered all the time"
        );
    }
    sim.converge().await;
    assert_eq!(
        sim.emit().await,
        EmitOutcome::Delivered,
        "I6: the client was registered all the time"
    );
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A's lease expires with a claim in flight. The claim executes between the rounds of the reaper.
/// The registry must reject it each time: nothing is written without a lease.
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
        assert_eq!(
            sim.execute(&reclaim).await,
            lost,
            "no claim is granted after the lease has expired"
        );
        sim.reap_round().await;
    }
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await).entry(),
        None
    );
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A crashes for good. Until its lease expires, emits to its client find no node. A client that
/// connects to B meanwhile must be registered there. In the end A's entries and A itself must be
/// gone from the registry.
pub(crate) async fn crash_is_reaped(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect_as(NODE_A, 1, "stays away");
    sim.connect_as(NODE_A, 2, ID);
    sim.flush(NODE_A).await;
    sim.crash(NODE_A);
    assert_eq!(
        sim.emit().await,
        EmitOutcome::Unreachable,
        "until its lease expires, the node counts as unreachable, not gone"
    );
    sim.connect(NODE_B, 3);
    sim.round_trip(NODE_B).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 3)]);
    let nodes = expect_reply(sim.registry.nodes().await);
    let addresses: Vec<_> = nodes.into_iter().map(|node| node.address).collect();
    assert_eq!(addresses, [sim.address(NODE_B)]);
    Ok(())
}
