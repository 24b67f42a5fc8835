//! Stores that lose all data, or fall back to an earlier state in a failover.
//!
//! Proves that the nodes restore the registry from what they hold, and that stamps keep their order
//! across the loss.

use tieline_registry::{Epoch, Located, Owner};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{EmitOutcome, ID, NODE_A, NODE_B, Simulation},
};

/// A's claim executes, the store loses all data, A joins again, and only then gets the old grant. A
/// must claim the id again.
pub(crate) async fn wipe_before_reply(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.wipe().await?;
    sim.renew(NODE_A).await;
    sim.deliver_reply(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// Connection 2 takes the id at B, the evict request to A is lost, and the store loses all data. A
/// claims again before B. Connection 2 must win all the same.
pub(crate) async fn older_connection_reclaims_first(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.drop_evicts();
    sim.wipe().await?;
    sim.renew(NODE_A).await;
    sim.renew(NODE_B).await;
    sim.flush(NODE_A).await;
    sim.flush(NODE_B).await;
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);
    Ok(())
}

/// A's release times out, connection 2 registers at B, and the store loses all data. After B has
/// claimed again, the old release executes and an old evict request arrives. They must not harm
/// connection 2, nor connection 3 at A later.
pub(crate) async fn release_and_evict_from_before_wipe(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.disconnect(NODE_A);
    sim.send(NODE_A).await;
    let release = sim.time_out(NODE_A);
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    sim.wipe().await?;
    sim.renew(NODE_A).await;
    sim.renew(NODE_B).await;
    sim.flush(NODE_B).await;
    sim.execute(&release).await;
    sim.deliver_stale_evict(NODE_B);
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 2)]);

    sim.connect(NODE_A, 3);
    sim.round_trip(NODE_A).await;
    sim.execute(&release).await;
    sim.deliver_stale_evict(NODE_A);
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 3)]);
    Ok(())
}

/// A client is registered at A, the store loses all data, and the client connects to a legacy node,
/// which writes its entry. When A joins again, its claim must yield to that entry, although no
/// stamp is left to compare with.
pub(crate) async fn foreign_write_after_wipe(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.wipe().await?;
    sim.connect_to_legacy_node(2).await;
    sim.converge().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// A's claim executes and is granted, and a failover loses it. Renewals still succeed. A must
/// notice: by two renewals whose entry counts differ, where the registry reports counts, or else by
/// an audit.
pub(crate) async fn failover_loses_claim(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.snapshot().await?;
    sim.connect(NODE_A, 1);
    sim.send(NODE_A).await;
    sim.execute_next(NODE_A).await;
    sim.restore().await?;
    sim.deliver_reply(NODE_A);
    if sim.reports_entry_count(NODE_A).await {
        sim.renew(NODE_A).await;
        sim.renew(NODE_A).await;
        sim.flush(NODE_A).await;
        let entry = expect_reply(sim.registry.locate(ID, true).await).entry();
        assert!(
            matches!(entry.map(|entry| entry.owner), Some(Owner::Node { .. })),
            "I1: after two renewals whose entry counts differ, \
             the node claims the missing entry again"
        );
    }
    sim.converge_with_audits().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A releases an id, and a failover brings the entry back. A sweep must remove it.
pub(crate) async fn failover_revives_entry(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.snapshot().await?;
    sim.disconnect(NODE_A);
    sim.round_trip(NODE_A).await;
    sim.restore().await?;
    sim.converge_with_audits().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// Both nodes have a client, and the store loses all data. Until B has claimed its client again, emits
/// to it must not answer `Offline`: neither before any node has joined, nor after A has refilled, nor
/// between the join of B and its claims. Once every live node has joined and refilled, absence must be
/// certain again.
pub(crate) async fn absence_after_wipe_is_unknown(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::with_short_leases(harness).await;
    sim.connect_as(NODE_A, 1, "another");
    sim.connect(NODE_B, 2);
    sim.flush(NODE_A).await;
    sim.flush(NODE_B).await;
    let before = sim.epoch(NODE_A);
    if before == Epoch::default() {
        return Ok(());
    }
    sim.wipe().await?;
    let lost = "I6: the client was connected all the time, and its entry was lost";
    assert_eq!(sim.emit().await, EmitOutcome::Unknown, "{lost}");
    sim.renew(NODE_A).await;
    assert_ne!(sim.epoch(NODE_A), before, "a wiped store is a new epoch");
    sim.flush(NODE_A).await;
    sim.renew(NODE_A).await;
    assert_eq!(sim.emit().await, EmitOutcome::Unknown, "{lost}");
    sim.renew(NODE_B).await;
    sim.expire_leases(&[]).await;
    assert_eq!(sim.emit().await, EmitOutcome::Unknown, "{lost}");
    sim.flush(NODE_B).await;
    sim.renew(NODE_B).await;
    assert_eq!(sim.emit().await, EmitOutcome::Delivered);
    let nobody = expect_reply(sim.registry.locate("nobody", true).await);
    assert_eq!(nobody, Located::Nowhere, "every live node has refilled");
    sim.converge().await;
    sim.assert_connections(&[(NODE_A, 1), (NODE_B, 2)]);
    Ok(())
}
