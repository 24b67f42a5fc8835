//! Stores that lose their data, or fall back to an earlier state.

use tieline_registry::Owner;

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, ID, Simulation, done},
};

/// c1A sA xA, wipe, A joins, rA: the grant is of before the loss.
pub(in super::super) async fn wipe_before_answer(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.wipe().await?;
    w.renew(A).await;
    w.answer(A);
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// c1A c2B registered; wipe; A claims again first.
pub(in super::super) async fn wipe_lets_older_reclaim(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect(B, 2);
    w.register(B).await;
    w.lose_evicts();
    w.wipe().await?;
    w.renew(A).await;
    w.renew(B).await;
    w.flush(A).await;
    w.flush(B).await;
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// Releases and evictions of before a wipe come after it.
pub(in super::super) async fn wipe_restarts_generations(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.disconnect(A);
    w.send(A).await;
    let release = w.give_up(A);
    w.connect(B, 2);
    w.register(B).await;
    w.wipe().await?;
    w.renew(A).await;
    w.renew(B).await;
    w.flush(B).await;
    w.execute_late(&release).await;
    w.evict(B);
    w.settle().await;
    w.assert_left(&[(B, 2)]);

    w.connect(A, 3);
    w.register(A).await;
    w.execute_late(&release).await;
    w.evict(A);
    w.settle().await;
    w.assert_left(&[(A, 3)]);
    Ok(())
}

/// c1A registered; wipe; a foreign node writes; A joins: its claim was granted before, so it yields.
pub(in super::super) async fn wipe_hides_a_grant_from_a_foreign_write(
    harness: &dyn RegistryHarness,
) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.wipe().await?;
    w.connect_foreign(2).await;
    w.settle().await;
    w.assert_left(&[]);
    Ok(())
}

/// c1A sA xA, which a failover loses, rA; beats stay well.
pub(in super::super) async fn failover_loses_claim(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.snapshot().await?;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.restore().await?;
    w.answer(A);
    if w.counts(A).await {
        w.renew(A).await;
        w.renew(A).await;
        w.flush(A).await;
        let entry = done(w.registry.locate(ID, true).await);
        assert!(
            matches!(entry.map(|entry| entry.owner), Some(Owner::Node { .. })),
            "I1: two beats tell that an entry is missing"
        );
    }
    w.settle_by_audit().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// A released entry is back after a failover.
pub(in super::super) async fn failover_revives_entry(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.snapshot().await?;
    w.disconnect(A);
    w.register(A).await;
    w.restore().await?;
    w.settle_by_audit().await;
    w.assert_left(&[]);
    Ok(())
}
