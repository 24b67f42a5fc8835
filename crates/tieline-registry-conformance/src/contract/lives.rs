//! Joins, beats, leases, members, fences.

use std::time::Duration;

use tieline_registry::{Beat, Candidate, ClaimKind, Claimed, Join, Member, Stamp};

use super::{A, B, Desk, STEADY, candidate, claim};
use crate::{Bench, Played, world::done};

pub(in super::super) async fn a_live_address_is_busy(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let session = desk.join(A).await;
    desk.take(&session, "x", 10).await;
    for _ in 0..3 {
        let join = done(desk.registry.join(&candidate(A, STEADY)).await);
        assert_eq!(join, Join::Busy(session.process));
    }
    desk.assert_at("x", A, 10).await;
    desk.take(&session, "y", 11).await;
    desk.join(B).await;
    Ok(())
}

pub(in super::super) async fn a_process_known_to_be_gone_is_replaced(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let dead = desk.join(A).await;
    let another = Candidate {
        replace: Some(uuid::Uuid::now_v7()),
        ..candidate(A, STEADY)
    };
    let join = done(desk.registry.join(&another).await);
    assert_eq!(join, Join::Busy(dead.process), "it names another process");
    let successor = Candidate {
        replace: Some(dead.process),
        ..candidate(A, STEADY)
    };
    let (session, _) = desk.let_in(&successor).await;
    assert_eq!(session.process, successor.process);
    assert_eq!(session.address, dead.address);
    desk.take(&session, "x", 10).await;
    desk.assert_at("x", A, 10).await;
    Ok(())
}

pub(in super::super) async fn an_expired_address_is_free(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let first = desk.join_for(A, bench.lease()).await;
    bench.pass(bench.expiry()).await;
    let second = desk.join_for(A, STEADY).await;
    assert_ne!(first.process, second.process);
    desk.take(&second, "x", 10).await;
    let beat = done(desk.registry.beat(&first, Stamp(1)).await);
    assert_eq!(beat, Beat::Lost, "the first process came back too late");
    Ok(())
}

/// With what it held before, or anew: the session serves.
pub(in super::super) async fn joining_again_keeps_the_address(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let first = candidate(A, STEADY);
    let (session, _) = desk.let_in(&first).await;
    desk.take(&session, "x", 10).await;
    let again = Candidate {
        previous: Some(session),
        ..first
    };
    let (session, _) = desk.let_in(&again).await;
    assert_eq!(session.process, again.process);
    let verdict = desk.claim(&session, "x", 10, ClaimKind::Held).await;
    assert_eq!(verdict, super::granted());
    desk.assert_at("x", A, 10).await;
    assert_eq!(done(desk.registry.members().await).len(), 1);
    Ok(())
}

pub(in super::super) async fn a_beat_keeps_the_lease_alive(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let session = desk.join_for(A, bench.lease()).await;
    desk.take(&session, "x", 10).await;
    let mut passed = Duration::ZERO;
    while passed < bench.expiry() {
        bench.pass(bench.lease() / 3).await;
        passed += bench.lease() / 3;
        let beat = done(desk.registry.beat(&session, Stamp(1)).await);
        assert!(matches!(beat, Beat::Renewed(_)), "{beat:?}");
    }
    desk.assert_at("x", A, 10).await;
    assert_eq!(done(desk.registry.expired().await), []);
    Ok(())
}

/// Revived where the node is still known, lost where it went with its lease; never as if nothing was.
pub(in super::super) async fn a_beat_after_the_lease_tells(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let session = desk.join_for(A, bench.lease()).await;
    desk.take(&session, "x", 10).await;
    bench.pass(bench.expiry()).await;
    let claims = [claim("x", 10, ClaimKind::Held)];
    let early = done(desk.registry.claim(&session, &claims).await);
    assert_eq!(early, Claimed::Lost, "nothing is written without a lease");
    match done(desk.registry.beat(&session, Stamp(1)).await) {
        Beat::Renewed(_) => panic!("the lease had run out, and the beat does not tell"),
        Beat::Revived(_) => {
            assert_eq!(desk.claim_all(&session, &claims).await, [super::granted()]);
            desk.assert_at("x", A, 10).await;
        }
        Beat::Lost => assert_eq!(desk.locate("x").await, None),
    }
    Ok(())
}

pub(in super::super) async fn a_beat_of_a_replaced_process_is_lost(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let dead = desk.join(A).await;
    let successor = Candidate {
        replace: Some(dead.process),
        ..candidate(A, STEADY)
    };
    let (session, _) = desk.let_in(&successor).await;
    let beat = done(desk.registry.beat(&dead, Stamp(1)).await);
    assert_eq!(beat, Beat::Lost);
    let beat = done(desk.registry.beat(&session, Stamp(1)).await);
    assert!(matches!(beat, Beat::Renewed(_)), "{beat:?}");
    Ok(())
}

/// Where the registry keeps a clock: it is never behind what it said, nor behind who asks.
pub(in super::super) async fn the_clock_never_goes_back(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (session, tenure) = desk.let_in(&candidate(A, STEADY)).await;
    if tenure.clock == Stamp::default() {
        return Ok(());
    }
    let hour = 3_600_000_000;
    let mut last = tenure.clock.0;
    // A node whose clock is an hour ahead, then nodes that know nothing of it.
    for now in [1, last + hour, 1, last] {
        let beat = done(desk.registry.beat(&session, Stamp(now)).await);
        let Beat::Renewed(tenure) = beat else {
            panic!("a steady lease is renewed: {beat:?}")
        };
        assert!(
            tenure.clock.0 >= last.max(now),
            "{} after {last}, asked at {now}",
            tenure.clock
        );
        last = tenure.clock.0;
    }
    let (_, tenure) = desk.let_in(&candidate(B, STEADY)).await;
    assert!(tenure.clock.0 >= last, "a join knows the clock too");
    Ok(())
}

/// Where the registry counts.
pub(in super::super) async fn a_tenure_counts(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let a = desk.join(A).await;
    let b = desk.join(B).await;
    let count = async || match done(desk.registry.beat(&a, Stamp(1)).await) {
        Beat::Renewed(tenure) => (tenure.held, tenure.foreign),
        other => panic!("a steady lease is renewed: {other:?}"),
    };
    let assert = |(held, foreign): (Option<u64>, Option<i64>), expected: (u64, i64), when: &str| {
        assert!(
            held.is_none_or(|held| held == expected.0),
            "{when}: {held:?} are held"
        );
        assert!(
            foreign.is_none_or(|foreign| foreign == expected.1),
            "{when}: {foreign:?} foreign"
        );
    };
    assert(count().await, (0, 0), "empty");
    desk.take(&a, "x", 10).await;
    desk.take(&a, "y", 11).await;
    desk.take(&a, "y", 12).await;
    assert(count().await, (2, 0), "two claimed, one of them twice");
    desk.take(&b, "y", 13).await;
    assert(count().await, (1, 0), "one displaced");
    done(desk.registry.set("z", super::FOREIGN).await);
    assert(count().await, (1, 1), "one foreign");
    done(desk.registry.delete("z").await);
    done(desk.registry.delete("y").await);
    assert(count().await, (1, -1), "one deleted");
    desk.release(&b, "y", 13).await;
    desk.release(&a, "x", 10).await;
    assert(count().await, (0, 0), "all released");
    Ok(())
}

pub(in super::super) async fn members_come_and_leave(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    assert_eq!(done(desk.registry.members().await), []);
    let a = desk.join(A).await;
    let b = desk.join(B).await;
    let member = |session: &tieline_registry::Session| Member {
        address: session.address.clone(),
        process: session.process,
        leased: true,
    };
    let members = async || {
        let mut members = done(desk.registry.members().await);
        members.sort_by(|one, other| one.address.cmp(&other.address));
        members
    };
    assert_eq!(members().await, [member(&a), member(&b)]);
    desk.take(&a, "x", 10).await;
    desk.release(&a, "x", 10).await;
    done(desk.registry.leave(&a).await);
    assert_eq!(members().await, [member(&b)]);
    let again = desk.join(A).await;
    done(desk.registry.leave(&a).await);
    assert_eq!(
        members().await,
        [member(&again), member(&b)],
        "who left first has no say"
    );
    Ok(())
}

/// Where the registry fences: what was asked before is not carried out after.
pub(in super::super) async fn a_fence_stops_what_is_late(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let before = desk.join(A).await;
    let after = done(desk.registry.fence(&before).await).expect("the session lives");
    assert_eq!(
        (&after.address, after.process),
        (&before.address, before.process)
    );
    desk.take(&after, "x", 10).await;
    if after != before {
        let late = [claim("y", 9, ClaimKind::Fresh)];
        assert_eq!(
            done(desk.registry.claim(&before, &late).await),
            Claimed::Lost
        );
        assert_eq!(desk.locate("y").await, None);
        let released = desk.release(&before, "x", 99).await;
        assert_eq!(released, tieline_registry::Released::Lost);
    }
    desk.assert_at("x", A, 10).await;
    Ok(())
}
