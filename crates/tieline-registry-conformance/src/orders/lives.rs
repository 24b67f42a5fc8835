//! Processes that die, start again, or share an address.

use tieline_registry::{Beat, Candidate, Claimed, Join, claim_table::Answered};

use crate::{
    Bench, Played,
    world::{A, B, ID, TWIN, World, done},
};

/// c1A c2B sA, A restarts, sxrB, xA in the old session.
pub(in super::super) async fn crash_with_claim_in_flight(bench: &dyn Bench) -> Played {
    let mut w = World::steady(bench).await;
    w.connect(A, 1);
    w.connect(B, 2);
    w.send(A).await;
    let late = w.crash(A);
    w.restart(A);
    w.beat(A).await;
    w.register(B).await;
    for request in &late {
        let answer = w.execute_late(request).await;
        assert_eq!(
            answer,
            Answered::Claims(Claimed::Lost),
            "the session was replaced"
        );
    }
    w.settle().await;
    w.assert_left(&[(B, 2)]);
    Ok(())
}

/// c1A sA, A restarts, xA, join: what an earlier process left is swept.
pub(in super::super) async fn ghost_of_previous_life(bench: &dyn Bench) -> Played {
    let mut w = World::steady(bench).await;
    w.connect(A, 1);
    w.send(A).await;
    let late = w.crash(A);
    w.restart(A);
    for request in &late {
        w.execute_late(request).await;
    }
    w.beat(A).await;
    w.settle().await;
    w.assert_left(&[]);
    Ok(())
}

/// Two processes with one address: the second waits, however often it asks.
pub(in super::super) async fn twin_ping_pong(bench: &dyn Bench) -> Played {
    let mut w = World::with_twin(bench).await;
    w.connect(A, 1);
    w.register(A).await;
    let session = w.session(A);
    for _ in 0..4 {
        w.beat(TWIN).await;
        assert!(!w.may_send(TWIN), "the address is taken");
        let now = w.now();
        let beat = done(w.registry.beat(&session, now).await);
        assert!(
            matches!(beat, Beat::Renewed(_)),
            "I8: a twin cost A its lease: {beat:?}"
        );
    }
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}

/// c1A registered, its twin joins: that removes nothing.
pub(in super::super) async fn twin_join_purges(bench: &dyn Bench) -> Played {
    let mut w = World::with_twin(bench).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect_as(B, 2, "another");
    w.register(B).await;
    w.beat(TWIN).await;
    let entry = done(w.registry.locate(ID, true).await);
    let address = entry.expect("I8: a twin removed an entry").address;
    assert_eq!(address, w.address(A));
    w.settle().await;
    w.assert_left(&[(A, 1), (B, 2)]);
    Ok(())
}

/// A dead process's join executes after its successor's: it names nobody, or whom it knew, and neither
/// holds the address any more.
pub(in super::super) async fn late_join(bench: &dyn Bench) -> Played {
    let mut w = World::steady(bench).await;
    let dead = w.session(A);
    w.crash(A);
    w.restart(A);
    w.beat(A).await;
    let successor = w.session(A);
    w.connect(A, 1);
    w.register(A).await;
    let now = w.now();
    let grandfather = uuid::Uuid::now_v7();
    for replace in [None, Some(grandfather), Some(dead.process)] {
        let late = Candidate {
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
            Join::Busy(successor.process),
            "a late join takes the address"
        );
    }
    let beat = done(w.registry.beat(&successor, now).await);
    assert!(matches!(beat, Beat::Renewed(_)), "{beat:?}");
    w.settle().await;
    w.assert_left(&[(A, 1)]);
    Ok(())
}
