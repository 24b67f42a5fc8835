//! The lifecycle of a node: joins, renewals, expiry, fencing tokens, and what the registry reports.

use std::time::Duration;

use tieline_registry::{
    ClaimKind, ClaimOutcomes, Epoch, JoinOutcome, JoinRequest, Located, NodeInfo, NodeReport,
    Renewal, Stamp,
};

use super::fixture::{
    ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, Fixture, LONG_LEASE, claim, granted, report, request,
};
use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
};

/// A second process asks three times for an address whose lease is alive. Each time the registry
/// must answer `Busy` with the holder, and the holder must keep its session and entries.
pub(crate) async fn a_live_address_is_busy(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let session = fixture.join(ADDRESS_A).await;
    fixture.must_claim(&session, "x", 10).await;
    for _ in 0..3 {
        let join = expect_reply(fixture.registry.join(&request(ADDRESS_A, LONG_LEASE)).await);
        assert_eq!(join, JoinOutcome::Busy(session.process));
    }
    fixture.assert_at("x", ADDRESS_A, 10).await;
    fixture.must_claim(&session, "y", 11).await;
    fixture.join(ADDRESS_B).await;
    Ok(())
}

/// A process asks for an address and names the process to replace. The registry must refuse it if
/// it names another process than the holder, and accept it if it names the
/// holder.
pub(crate) async fn a_process_known_to_be_gone_is_replaced(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let dead = fixture.join(ADDRESS_A).await;
    let another = JoinRequest {
        replace: Some(uuid::Uuid::now_v7()),
        ..request(ADDRESS_A, LONG_LEASE)
    };
    let join = expect_reply(fixture.registry.join(&another).await);
    assert_eq!(
        join,
        JoinOutcome::Busy(dead.process),
        "the request names another process than the holder"
    );
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(ADDRESS_A, LONG_LEASE)
    };
    let (session, _) = fixture.must_join(&successor).await;
    assert_eq!(session.process, successor.process);
    assert_eq!(session.address, dead.address);
    fixture.must_claim(&session, "x", 10).await;
    fixture.assert_at("x", ADDRESS_A, 10).await;
    Ok(())
}

/// A lease expires, and another process takes the address. The renewal of the first process must
/// then answer `Lost`.
pub(crate) async fn an_expired_address_is_free(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let first = fixture.join_for(ADDRESS_A, harness.lease()).await;
    harness.pass(harness.expiry()).await;
    let second = fixture.join_for(ADDRESS_A, LONG_LEASE).await;
    assert_ne!(first.process, second.process);
    fixture.must_claim(&second, "x", 10).await;
    let renewal = expect_reply(fixture.registry.renew(&first, report(1)).await);
    assert_eq!(renewal, Renewal::Lost, "the address has another holder now");
    Ok(())
}

/// A process that holds an address joins again, with its previous session. It must get a session in
/// which its claims are granted, and the registry must list one node.
pub(crate) async fn joining_again_keeps_the_address(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let first = request(ADDRESS_A, LONG_LEASE);
    let (session, _) = fixture.must_join(&first).await;
    fixture.must_claim(&session, "x", 10).await;
    let again = JoinRequest {
        previous: Some(session),
        ..first
    };
    let (session, _) = fixture.must_join(&again).await;
    assert_eq!(session.process, again.process);
    let verdict = fixture.claim(&session, "x", 10, ClaimKind::Held).await;
    assert_eq!(verdict, granted());
    fixture.assert_at("x", ADDRESS_A, 10).await;
    assert_eq!(expect_reply(fixture.registry.nodes().await).len(), 1);
    Ok(())
}

/// A node renews its lease until well past the first expiry. Each renewal must succeed, and its
/// entries must stay.
pub(crate) async fn a_renewal_keeps_the_lease_alive(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let session = fixture.join_for(ADDRESS_A, harness.lease()).await;
    fixture.must_claim(&session, "x", 10).await;
    let mut passed = Duration::ZERO;
    while passed < harness.expiry() {
        harness.pass(harness.lease() / 3).await;
        passed += harness.lease() / 3;
        let renewal = expect_reply(fixture.registry.renew(&session, report(1)).await);
        assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
    }
    fixture.assert_at("x", ADDRESS_A, 10).await;
    assert_eq!(expect_reply(fixture.registry.expired().await), []);
    Ok(())
}

/// A node renews its lease after it has expired. The registry must answer `Revived`, if it still
/// knows the node, or `Lost`, if it has removed the node, but never `Renewed`. Claims between the
/// expiry and the renewal must be rejected.
pub(crate) async fn a_late_renewal_reports_the_expiry(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let session = fixture.join_for(ADDRESS_A, harness.lease()).await;
    fixture.must_claim(&session, "x", 10).await;
    harness.pass(harness.expiry()).await;
    let claims = [claim("x", 10, ClaimKind::Held)];
    let early = expect_reply(fixture.registry.claim(&session, &claims).await);
    assert_eq!(
        early,
        ClaimOutcomes::Lost,
        "no claim is granted after the lease has expired"
    );
    match expect_reply(fixture.registry.renew(&session, report(1)).await) {
        Renewal::Renewed(_) => {
            panic!("the lease had expired; the renewal must answer `Revived` or `Lost`")
        }
        Renewal::Revived(_) => {
            assert_eq!(fixture.claim_batch(&session, &claims).await, [granted()]);
            fixture.assert_at("x", ADDRESS_A, 10).await;
        }
        Renewal::Lost => assert_eq!(fixture.locate("x").await, None),
    }
    Ok(())
}

/// A process is replaced. Its renewal must answer `Lost`, and that of its successor must succeed.
pub(crate) async fn a_renewal_of_a_replaced_process_is_lost(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let dead = fixture.join(ADDRESS_A).await;
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(ADDRESS_A, LONG_LEASE)
    };
    let (session, _) = fixture.must_join(&successor).await;
    let renewal = expect_reply(fixture.registry.renew(&dead, report(1)).await);
    assert_eq!(renewal, Renewal::Lost);
    let renewal = expect_reply(fixture.registry.renew(&session, report(1)).await);
    assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
    Ok(())
}

/// Nodes with different clocks renew and join. Where the registry keeps a clock, its answer must
/// never be below an earlier answer or below the clock of the caller.
pub(crate) async fn the_clock_never_goes_back(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (session, lease_info) = fixture.must_join(&request(ADDRESS_A, LONG_LEASE)).await;
    if lease_info.clock == Stamp::default() {
        return Ok(());
    }
    let hour = 3_600_000_000;
    let mut last = lease_info.clock.0;
    // A node whose clock is an hour ahead, then nodes with slower clocks.
    for now in [1, last + hour, 1, last] {
        let renewal = expect_reply(fixture.registry.renew(&session, report(now)).await);
        let Renewal::Renewed(lease_info) = renewal else {
            panic!("the lease is alive, so the renewal must succeed: {renewal:?}")
        };
        assert!(
            lease_info.clock.0 >= last.max(now),
            "the clock went back: {} after {last}, with the caller at {now}",
            lease_info.clock
        );
        last = lease_info.clock.0;
    }
    let (_, lease_info) = fixture.must_join(&request(ADDRESS_B, LONG_LEASE)).await;
    assert!(
        lease_info.clock.0 >= last,
        "a join must report the same clock"
    );
    Ok(())
}

/// Entries are claimed, displaced, written and deleted by a foreign program, and released. Where
/// the registry reports counts with a renewal, they must be exact after each step.
pub(crate) async fn lease_info_counts_entries(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join(ADDRESS_A).await;
    let b = fixture.join(ADDRESS_B).await;
    let count = async || match expect_reply(fixture.registry.renew(&a, report(1)).await) {
        Renewal::Renewed(lease_info) => (lease_info.entry_count, lease_info.foreign_balance),
        other => panic!("the lease is alive, so the renewal must succeed: {other:?}"),
    };
    let assert = |(held, foreign): (Option<u64>, Option<i64>), expected: (u64, i64), when: &str| {
        assert!(
            held.is_none_or(|held| held == expected.0),
            "{when}: the registry reports {held:?} entries of the node"
        );
        assert!(
            foreign.is_none_or(|foreign| foreign == expected.1),
            "{when}: the registry reports {foreign:?} foreign entries"
        );
    };
    assert(count().await, (0, 0), "empty");
    fixture.must_claim(&a, "x", 10).await;
    fixture.must_claim(&a, "y", 11).await;
    fixture.must_claim(&a, "y", 12).await;
    assert(count().await, (2, 0), "two claimed, one of them twice");
    fixture.must_claim(&b, "y", 13).await;
    assert(count().await, (1, 0), "one displaced");
    expect_reply(fixture.registry.set("z", FOREIGN_ADDRESS).await);
    assert(count().await, (1, 1), "one foreign");
    expect_reply(fixture.registry.delete("z").await);
    expect_reply(fixture.registry.delete("y").await);
    assert(count().await, (1, -1), "one deleted");
    fixture.release(&b, "y", 13).await;
    fixture.release(&a, "x", 10).await;
    assert(count().await, (0, 0), "all released");
    Ok(())
}

/// Two nodes join and one leaves. The registry must list the nodes that are there. A second leave
/// in an old session must not remove the node that has joined again.
pub(crate) async fn nodes_join_and_leave(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    assert_eq!(expect_reply(fixture.registry.nodes().await), []);
    let a = fixture.join(ADDRESS_A).await;
    let b = fixture.join(ADDRESS_B).await;
    let node_info = |session: &tieline_registry::NodeSession| NodeInfo {
        address: session.address.clone(),
        process: session.process,
        leased: true,
    };
    let nodes = async || {
        let mut nodes = expect_reply(fixture.registry.nodes().await);
        nodes.sort_by(|one, other| one.address.cmp(&other.address));
        nodes
    };
    assert_eq!(nodes().await, [node_info(&a), node_info(&b)]);
    fixture.must_claim(&a, "x", 10).await;
    fixture.release(&a, "x", 10).await;
    expect_reply(fixture.registry.leave(&a).await);
    assert_eq!(nodes().await, [node_info(&b)]);
    let again = fixture.join(ADDRESS_A).await;
    expect_reply(fixture.registry.leave(&a).await);
    assert_eq!(
        nodes().await,
        [node_info(&again), node_info(&b)],
        "a leave in an old session must not remove the new process"
    );
    Ok(())
}

/// A node takes a new fencing token. Where the registry supports it, claims and releases with the
/// old token must be rejected; the session stays valid everywhere.
pub(crate) async fn a_fence_stops_late_operations(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let before = fixture.join(ADDRESS_A).await;
    let after = expect_reply(fixture.registry.fence(&before).await).expect("the session is valid");
    assert_eq!(
        (&after.address, after.process),
        (&before.address, before.process)
    );
    fixture.must_claim(&after, "x", 10).await;
    if after != before {
        let late = [claim("y", 9, ClaimKind::Fresh)];
        assert_eq!(
            expect_reply(fixture.registry.claim(&before, &late).await),
            ClaimOutcomes::Lost
        );
        assert_eq!(fixture.locate("y").await, None);
        let released = fixture.release(&before, "x", 99).await;
        assert_eq!(released, tieline_registry::ReleaseOutcome::Lost);
    }
    fixture.assert_at("x", ADDRESS_A, 10).await;
    Ok(())
}

/// A process with connections joins, and later reports that it has refilled. Where the registry keeps
/// an epoch, the absence of an id must be unknown in between, and known before and after, also when
/// another node has joined that has nothing to refill.
pub(crate) async fn absence_is_unknown_until_a_node_has_refilled(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    // A store that was empty may have been wiped, which one lease settles.
    fixture.join_for("c.test:7000", harness.lease()).await;
    harness.pass(harness.expiry()).await;
    let located = async || expect_reply(fixture.registry.locate("nobody", true).await);
    let again = JoinRequest {
        has_connections: true,
        ..request(ADDRESS_A, LONG_LEASE)
    };
    let (session, lease_info) = fixture.must_join(&again).await;
    let epoch = lease_info.epoch;
    if epoch == Epoch::default() {
        return Ok(());
    }
    assert_eq!(located().await, Located::Unknown, "A has not refilled");
    let refilled = |refilled| NodeReport {
        now: Stamp(1),
        refilled,
    };
    let other = Epoch(epoch.0 + 1);
    for early in [Epoch::default(), other] {
        expect_reply(fixture.registry.renew(&session, refilled(early)).await);
        assert_eq!(located().await, Located::Unknown, "{early:?}");
    }
    expect_reply(fixture.registry.renew(&session, refilled(epoch)).await);
    let b = fixture.join(ADDRESS_B).await;
    expect_reply(
        fixture
            .registry
            .renew(&session, refilled(Epoch::default()))
            .await,
    );
    assert_eq!(located().await, Located::Nowhere, "a report stays valid");
    fixture.must_claim(&b, "nobody", 10).await;
    assert!(matches!(located().await, Located::At(_)));
    Ok(())
}
