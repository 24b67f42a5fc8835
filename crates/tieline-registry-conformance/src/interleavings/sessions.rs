//! Processes that die, start again, or share an address.

use tieline_registry::{ClaimOutcomes, JoinOutcome, JoinRequest, Renewal, claim_table::ClaimReply};

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, ID, Simulation, TWIN, done},
};

/// c1A c2B sA, A restarts, sxrB, xA in the old session.
pub(in super::super) async fn crash_with_claim_in_flight(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.connect(B, 2);
    w.send(A).await;
    let late = w.crash(A);
    w.restart(A);
    w.renew(A).await;
    w.register(B).await;
    for request in &late {
        let answer = w.execute_late(request).await;
        assert_eq!(
            answer,
            ClaimReply::Claims(ClaimOutcomes::Lost),
            "the session was replaced"
        );
    }
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sA, A restarts, xA, join: what an earlier process left is swept.
pub(in super::super) async fn ghost_of_previous_life(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.send(A).await;
    let late = w.crash(A);
    w.restart(A);
    for request in &late {
        w.execute_late(request).await;
    }
    w.renew(A).await;
    w.settle().await;
    w.assert_left(&[]);
    Ok(())
}

/// Two processes with one address: the second waits, however often it asks.
pub(in super::super) async fn twin_ping_pong(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::with_twin(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    let session = w.session(A);
    for _ in 0..4 {
        w.renew(TWIN).await;
        assert!(!w.may_send(TWIN), "the address is taken");
        let now = w.now();
        let beat = done(w.registry.renew(&session, now).await);
        assert!(
            matches!(beat, Renewal::Renewed(_)),
            "I8: a twin cost A its lease: {beat:?}"
        );
    }
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// c1A registered, its twin joins: that removes nothing.
pub(in super::super) async fn twin_join_purges(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::with_twin(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect_as(B, 2, "another");
    w.register(B).await;
    w.renew(TWIN).await;
    let entry = done(w.registry.locate(ID, true).await);
    let address = entry.expect("I8: a twin removed an entry").address;
    assert_eq!(address, w.address(A));
    w.settle().await;
    w.assert_left(&[(A, 1), (B, 2)]);
    Ok(())
}

/// A dead process's join executes after its successor's: it names nobody, or whom it knew, and neither
/// holds the address any more.
pub(in super::super) async fn late_join(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    let dead = w.session(A);
    w.crash(A);
    w.restart(A);
    w.renew(A).await;
    let successor = w.session(A);
    w.connect(A, 1);
    w.register(A).await;
    let now = w.now();
    let grandfather = uuid::Uuid::now_v7();
    for replace in [None, Some(grandfather), Some(dead.process)] {
        let late = JoinRequest {
            address: dead.address.clone(),
            process: dead.process,
            replace,
            previous: None,
            now,
            lease: dead.ttl,
        };
        let join = done(w.registry.join(&late).await);
        assert_eq!(
            join,
            JoinOutcome::Busy(successor.process),
            "a late join takes the address"
        );
    }
    let beat = done(w.registry.renew(&successor, now).await);
    assert!(matches!(beat, Renewal::Renewed(_)), "{beat:?}");
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}
