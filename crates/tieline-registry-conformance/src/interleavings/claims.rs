//! Claims, releases and evictions that overtake each other or get lost.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, ID, Simulation, done},
};

/// c1A c2B sA sB xB xA rA rB evict(B): the order of arrival decides, not that of execution.
pub(in super::super) async fn older_claim_executes_last(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.connect(B, 2);
    w.send(A).await;
    w.send(B).await;
    w.execute(B).await;
    w.execute(A).await;
    w.answer(A);
    w.answer(B);
    w.evict(B);
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sA xA c2B sB xB rB evict(A) rA: A must not take the grant for the last word.
pub(in super::super) async fn evict_overtakes_grant(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.connect(B, 2);
    w.register(B).await;
    w.deliver_evicts();
    w.answer(A);
    w.flush(A).await;
    w.assert_left(&[(B, 2)]);
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sA xA c2B sB dB xB rB, release, evict(A), rA: the winner is gone, the loser has its id again.
pub(in super::super) async fn winner_leaves_before_grant(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.connect(B, 2);
    w.send(B).await;
    w.disconnect(B);
    w.execute(B).await;
    w.answer(B);
    w.register(B).await;
    w.evict(A);
    w.answer(A);
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// c1A sA dA xA, the answer lost: what A may have is given back.
pub(in super::super) async fn grant_lost_then_disconnect(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.disconnect(A);
    w.execute(A).await;
    w.give_up(A);
    w.settle().await;
    w.assert_left(&[]);
    Ok(())
}

/// c1A sA dA timeout, release; then the claim executes.
pub(in super::super) async fn late_claim_after_release(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.disconnect(A);
    let late = w.give_up(A);
    w.register(A).await;
    w.execute_late(&late).await;
    w.settle_by_audit().await;
    w.assert_left(&[]);
    Ok(())
}

/// c1A sA timeout sA xA rA; then the first claim executes, and once more after a newer one.
pub(in super::super) async fn late_claim_after_retry(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    let late = w.give_up(A);
    w.register(A).await;
    w.execute_late(&late).await;
    w.settle().await;
    w.assert_left(&[(A, 1)]);

    w.connect(B, 2);
    w.register(B).await;
    w.execute_late(&late).await;
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sA xA, the answer lost; c2B; A sends again; xB xA: a retry is as old as its connection.
pub(in super::super) async fn retry_beats_newer(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.give_up(A);
    w.connect(B, 2);
    w.send(A).await;
    w.send(B).await;
    w.execute(B).await;
    w.execute(A).await;
    w.answer(A);
    w.answer(B);
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sxrA c2B sxrB, the eviction lost: routing is right at once, and two beats or an audit close the
/// older one.
pub(in super::super) async fn evict_lost(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect(B, 2);
    w.register(B).await;
    w.lose_evicts();
    w.assert_left(&[(A, 1), (B, 2)]);
    let entry = done(w.registry.locate(ID, true).await);
    let address = entry.expect("a registered client has an entry").address;
    assert_eq!(address, w.address(B));
    if w.counts(A).await {
        w.renew(A).await;
        w.renew(A).await;
        w.flush(A).await;
        w.assert_left(&[(B, 2)]);
    }
    w.settle_by_audit().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// An eviction of long ago reaches a connection whose stamp, by a wrong clock, is below that of the
/// claim which caused it.
pub(in super::super) async fn evict_meets_wrong_clock(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(B, 1);
    w.register(B).await;
    let early = w.now();
    w.connect(A, 2);
    w.register(A).await;
    w.disconnect(B);
    w.flush(B).await;
    w.disconnect(A);
    w.flush(A).await;
    let late = w.arrive(3, ID);
    assert!(early < late);
    w.accept(B, 3, ID, early);
    w.register(B).await;
    w.deliver_evicts();
    w.settle().await;
    w.assert_left(&[(B, 3)]);
    Ok(())
}

/// A paused, c1A waits, c2B registered, A resumes: c1 is as old as its arrival.
pub(in super::super) async fn backlog_of_paused_node(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.pause(A);
    let stamp = w.arrive(1, ID);
    w.connect(B, 2);
    w.register(B).await;
    w.wake(A);
    w.accept(A, 1, ID, stamp);
    w.register(A).await;
    w.assert_left(&[(B, 2)]);
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// Two clients of A: x's answer is lost, so a fence goes up while y's claim is on its way. What that
/// fences off is tried again, and must not fence off x in turn.
pub(in super::super) async fn fence_storm(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect_as(A, 1, "x");
    w.send(A).await;
    w.connect_as(A, 2, "y");
    w.send(A).await;
    w.execute(A).await;
    let before = w.session(A);
    w.give_up(A);
    w.send(A).await;
    let fenced = w.session(A) != before;
    w.execute(A).await;
    w.answer(A);
    assert!(w.may_send(A), "what an old fence stops is only tried again");
    w.execute(A).await;
    w.answer(A);
    w.settle().await;
    w.assert_left(&[(A, 1), (A, 2)]);

    // What is late must not stand again behind the fence; without one, the sweep finds it.
    w.connect_as(A, 3, "z");
    w.send(A).await;
    w.disconnect_as(A, "z");
    let late = w.give_up(A);
    w.register(A).await;
    let answer = w.execute_late(&late).await;
    assert!(!fenced || answer == ClaimReply::Claims(ClaimOutcomes::Lost));
    w.settle_by_audit().await;
    w.assert_left(&[(A, 1), (A, 2)]);
    Ok(())
}
