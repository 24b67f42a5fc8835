//! Joins, beats, leases, members, fences.

use std::time::Duration;

use tieline_registry::{
    ClaimKind, ClaimOutcomes, JoinOutcome, JoinRequest, NodeInfo, Renewal, Stamp,
};

use super::{A, B, Fixture, STEADY, claim, request};
use crate::{Played, RegistryHarness, simulation::done};

pub(in super::super) async fn a_live_address_is_busy(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let session = fixture.join(A).await;
    fixture.take(&session, "x", 10).await;
    for _ in 0..3 {
        let join = done(fixture.registry.join(&request(A, STEADY)).await);
        assert_eq!(join, JoinOutcome::Busy(session.process));
    }
    fixture.assert_at("x", A, 10).await;
    fixture.take(&session, "y", 11).await;
    fixture.join(B).await;
    Ok(())
}

pub(in super::super) async fn a_process_known_to_be_gone_is_replaced(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let dead = fixture.join(A).await;
    let another = JoinRequest {
        replace: Some(uuid::Uuid::now_v7()),
        ..request(A, STEADY)
    };
    let join = done(fixture.registry.join(&another).await);
    assert_eq!(
        join,
        JoinOutcome::Busy(dead.process),
        "it names another process"
    );
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(A, STEADY)
    };
    let (session, _) = fixture.let_in(&successor).await;
    assert_eq!(session.process, successor.process);
    assert_eq!(session.address, dead.address);
    fixture.take(&session, "x", 10).await;
    fixture.assert_at("x", A, 10).await;
    Ok(())
}

pub(in super::super) async fn an_expired_address_is_free(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let first = fixture.join_for(A, harness.lease()).await;
    harness.pass(harness.expiry()).await;
    let second = fixture.join_for(A, STEADY).await;
    assert_ne!(first.process, second.process);
    fixture.take(&second, "x", 10).await;
    let beat = done(fixture.registry.renew(&first, Stamp(1)).await);
    assert_eq!(beat, Renewal::Lost, "the first process came back too late");
    Ok(())
}

/// With what it held before, or anew: the session serves.
pub(in super::super) async fn joining_again_keeps_the_address(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let first = request(A, STEADY);
    let (session, _) = fixture.let_in(&first).await;
    fixture.take(&session, "x", 10).await;
    let again = JoinRequest {
        previous: Some(session),
        ..first
    };
    let (session, _) = fixture.let_in(&again).await;
    assert_eq!(session.process, again.process);
    let verdict = fixture.claim(&session, "x", 10, ClaimKind::Held).await;
    assert_eq!(verdict, super::granted());
    fixture.assert_at("x", A, 10).await;
    assert_eq!(done(fixture.registry.nodes().await).len(), 1);
    Ok(())
}

pub(in super::super) async fn a_beat_keeps_the_lease_alive(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let session = fixture.join_for(A, harness.lease()).await;
    fixture.take(&session, "x", 10).await;
    let mut passed = Duration::ZERO;
    while passed < harness.expiry() {
        harness.pass(harness.lease() / 3).await;
        passed += harness.lease() / 3;
        let beat = done(fixture.registry.renew(&session, Stamp(1)).await);
        assert!(matches!(beat, Renewal::Renewed(_)), "{beat:?}");
    }
    fixture.assert_at("x", A, 10).await;
    assert_eq!(done(fixture.registry.expired().await), []);
    Ok(())
}

/// Revived where the node is still known, lost where it went with its lease; never as if nothing was.
pub(in super::super) async fn a_beat_after_the_lease_tells(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let session = fixture.join_for(A, harness.lease()).await;
    fixture.take(&session, "x", 10).await;
    harness.pass(harness.expiry()).await;
    let claims = [claim("x", 10, ClaimKind::Held)];
    let early = done(fixture.registry.claim(&session, &claims).await);
    assert_eq!(
        early,
        ClaimOutcomes::Lost,
        "nothing is written without a lease"
    );
    match done(fixture.registry.renew(&session, Stamp(1)).await) {
        Renewal::Renewed(_) => panic!("the lease had run out, and the beat does not tell"),
        Renewal::Revived(_) => {
            assert_eq!(
                fixture.claim_all(&session, &claims).await,
                [super::granted()]
            );
            fixture.assert_at("x", A, 10).await;
        }
        Renewal::Lost => assert_eq!(fixture.locate("x").await, None),
    }
    Ok(())
}

pub(in super::super) async fn a_beat_of_a_replaced_process_is_lost(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let dead = fixture.join(A).await;
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(A, STEADY)
    };
    let (session, _) = fixture.let_in(&successor).await;
    let beat = done(fixture.registry.renew(&dead, Stamp(1)).await);
    assert_eq!(beat, Renewal::Lost);
    let beat = done(fixture.registry.renew(&session, Stamp(1)).await);
    assert!(matches!(beat, Renewal::Renewed(_)), "{beat:?}");
    Ok(())
}

/// Where the registry keeps a clock: it is never behind what it said, nor behind who asks.
pub(in super::super) async fn the_clock_never_goes_back(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let (session, lease_info) = fixture.let_in(&request(A, STEADY)).await;
    if lease_info.clock == Stamp::default() {
        return Ok(());
    }
    let hour = 3_600_000_000;
    let mut last = lease_info.clock.0;
    // A node whose clock is an hour ahead, then nodes that know nothing of it.
    for now in [1, last + hour, 1, last] {
        let beat = done(fixture.registry.renew(&session, Stamp(now)).await);
        let Renewal::Renewed(lease_info) = beat else {
            panic!("a steady lease is renewed: {beat:?}")
        };
        assert!(
            lease_info.clock.0 >= last.max(now),
            "{} after {last}, asked at {now}",
            lease_info.clock
        );
        last = lease_info.clock.0;
    }
    let (_, lease_info) = fixture.let_in(&request(B, STEADY)).await;
    assert!(lease_info.clock.0 >= last, "a join knows the clock too");
    Ok(())
}

/// Where the registry counts.
pub(in super::super) async fn a_tenure_counts(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let a = fixture.join(A).await;
    let b = fixture.join(B).await;
    let count = async || match done(fixture.registry.renew(&a, Stamp(1)).await) {
        Renewal::Renewed(lease_info) => (lease_info.entry_count, lease_info.foreign_balance),
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
    fixture.take(&a, "x", 10).await;
    fixture.take(&a, "y", 11).await;
    fixture.take(&a, "y", 12).await;
    assert(count().await, (2, 0), "two claimed, one of them twice");
    fixture.take(&b, "y", 13).await;
    assert(count().await, (1, 0), "one displaced");
    done(fixture.registry.set("z", super::FOREIGN).await);
    assert(count().await, (1, 1), "one foreign");
    done(fixture.registry.delete("z").await);
    done(fixture.registry.delete("y").await);
    assert(count().await, (1, -1), "one deleted");
    fixture.release(&b, "y", 13).await;
    fixture.release(&a, "x", 10).await;
    assert(count().await, (0, 0), "all released");
    Ok(())
}

pub(in super::super) async fn members_come_and_leave(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    assert_eq!(done(fixture.registry.nodes().await), []);
    let a = fixture.join(A).await;
    let b = fixture.join(B).await;
    let member = |session: &tieline_registry::NodeSession| NodeInfo {
        address: session.address.clone(),
        process: session.process,
        leased: true,
    };
    let members = async || {
        let mut members = done(fixture.registry.nodes().await);
        members.sort_by(|one, other| one.address.cmp(&other.address));
        members
    };
    assert_eq!(members().await, [member(&a), member(&b)]);
    fixture.take(&a, "x", 10).await;
    fixture.release(&a, "x", 10).await;
    done(fixture.registry.leave(&a).await);
    assert_eq!(members().await, [member(&b)]);
    let again = fixture.join(A).await;
    done(fixture.registry.leave(&a).await);
    assert_eq!(
        members().await,
        [member(&again), member(&b)],
        "who left first has no say"
    );
    Ok(())
}

/// Where the registry fences: what was asked before is not carried out after.
pub(in super::super) async fn a_fence_stops_what_is_late(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let before = fixture.join(A).await;
    let after = done(fixture.registry.fence(&before).await).expect("the session lives");
    assert_eq!(
        (&after.address, after.process),
        (&before.address, before.process)
    );
    fixture.take(&after, "x", 10).await;
    if after != before {
        let late = [claim("y", 9, ClaimKind::Fresh)];
        assert_eq!(
            done(fixture.registry.claim(&before, &late).await),
            ClaimOutcomes::Lost
        );
        assert_eq!(fixture.locate("y").await, None);
        let released = fixture.release(&before, "x", 99).await;
        assert_eq!(released, tieline_registry::ReleaseOutcome::Lost);
    }
    fixture.assert_at("x", A, 10).await;
    Ok(())
}
