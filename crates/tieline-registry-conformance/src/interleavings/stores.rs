//! Stores that lose their data, or fall back to an earlier state.

use tieline_registry::Owner;

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{ID, NODE_A, NODE_B, Simulation},
};

/// c1A sA xA, wipe, A joins, rA: the grant is of before the loss.
pub(crate) async fn wipe_before_answer(harness: &dyn RegistryHarness) -> ScenarioResult {
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

/// c1A c2B registered; wipe; A claims again first.
pub(crate) async fn wipe_lets_older_reclaim(harness: &dyn RegistryHarness) -> ScenarioResult {
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

/// Releases and evictions of before a wipe come after it.
pub(crate) async fn wipe_restarts_generations(harness: &dyn RegistryHarness) -> ScenarioResult {
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

/// c1A registered; wipe; a foreign node writes; A joins: its claim was granted before, so it yields.
pub(crate) async fn wipe_hides_a_grant_from_a_foreign_write(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.wipe().await?;
    sim.connect_to_legacy_node(2).await;
    sim.converge().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// c1A sA xA, which a failover loses, rA; beats stay well.
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
        let entry = expect_reply(sim.registry.locate(ID, true).await);
        assert!(
            matches!(entry.map(|entry| entry.owner), Some(Owner::Node { .. })),
            "I1: two beats tell that an entry is missing"
        );
    }
    sim.converge_with_audits().await;
    sim.assert_connections(&[(NODE_A, 1)]);
    Ok(())
}

/// A released entry is back after a failover.
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
