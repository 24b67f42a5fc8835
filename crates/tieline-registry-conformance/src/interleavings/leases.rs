//! Leases that run out while their node is away, or the registry is.

use tieline_registry::{ClaimOutcomes, claim_table::ClaimReply};

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, Emitted, ID, Simulation, done},
};

/// A back from a pause: sA xA, reaped, join, rA: the grant is of before the loss.
pub(in super::super) async fn grant_before_lost_lease(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    w.execute(A).await;
    w.pause(A);
    w.run_out(&[A]).await;
    w.reap_round().await;
    w.reap_round().await;
    assert_eq!(done(w.registry.locate(ID, true).await), None, "A is gone");
    w.wake(A);
    w.renew(A).await;
    w.answer(A);
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// A lease has run out, the reaper starts, A beats and claims again; the next chunk must stop.
pub(in super::super) async fn reaper_meets_beat(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    for (number, name) in ["x", "y", "z"].into_iter().enumerate() {
        w.connect_as(A, u32::try_from(number).expect("three") + 1, name);
    }
    w.flush(A).await;
    w.pause(A);
    w.run_out(&[A]).await;
    w.wake(A);
    let expired = w.sight().await;
    for expired in &expired {
        assert!(w.reap(expired, 1).await, "two of three are left");
    }
    w.renew(A).await;
    w.flush(A).await;
    for expired in &expired {
        assert!(!w.reap(expired, 512).await, "the lease lives");
    }
    w.settle().await;
    w.assert_left(&[(A, 1), (A, 2), (A, 3)]);
    Ok(())
}

/// The registry was away for longer than a lease, its data kept: the reaper comes before the beats.
pub(in super::super) async fn registry_back_after_lease(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.run_out(&[A, B]).await;
    let stood = done(w.registry.locate(ID, true).await);
    w.reap_round().await;
    assert_eq!(
        done(w.registry.locate(ID, true).await),
        stood,
        "I3: what was seen to have run out only now is reaped"
    );
    w.renew(B).await;
    w.renew(A).await;
    w.reap_round().await;
    w.flush(A).await;
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// The same, and an emit before the beats: an entry without a lease is tried all the same. Where the
/// registry removes entries with the lease, the client is not registered, and may be Offline.
pub(in super::super) async fn emit_after_registry_pause(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.run_out(&[A, B]).await;
    if done(w.registry.locate(ID, true).await).is_some() {
        assert_eq!(w.emit().await, Emitted::Delivered, "I6");
    }
    w.settle().await;
    assert_eq!(w.emit().await, Emitted::Delivered, "I6");
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// A re-claims in a lease that has run out, the reaper removes, A re-claims …: nothing is written
/// without a lease.
pub(in super::super) async fn reclaim_races_reaper(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.run_out(&[A]).await;
    w.evict(A);
    w.send(A).await;
    let reclaim = w.give_up(A);
    let lost = ClaimReply::Claims(ClaimOutcomes::Lost);
    for _ in 0..3 {
        assert_eq!(
            w.execute_late(&reclaim).await,
            lost,
            "the lease has run out"
        );
        w.reap_round().await;
    }
    assert_eq!(done(w.registry.locate(ID, true).await), None);
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// A dies for good: its entries go, its member goes, and its client is welcome elsewhere meanwhile.
pub(in super::super) async fn crash_is_reaped(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::mortal(harness).await;
    w.connect_as(A, 1, "stays away");
    w.connect_as(A, 2, ID);
    w.flush(A).await;
    w.crash(A);
    assert_eq!(w.emit().await, Emitted::Unreachable, "the lease lives");
    w.connect(B, 3);
    w.register(B).await;
    w.settle().await;
    w.assert_left(&[(B, 3)]);
    let members = done(w.registry.nodes().await);
    let addresses: Vec<_> = members.into_iter().map(|member| member.address).collect();
    assert_eq!(addresses, [w.address(B)]);
    Ok(())
}
