//! Many ids at once: batches, scans, the reaper, and the layout that other programs share.

use tieline_registry::{
    Claim, ClaimKind, ClientId, ExpiredNode, NodeSession, ReleaseOutcome, Renewal, Verdict,
};

use super::fixture::{
    ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, Fixture, claim, granted, release, report,
};
use crate::{
    expect::{client_id, expect_reply},
    harness::{RegistryHarness, ScenarioResult},
};

/// More than any registry handles in one page or batch of its own.
const MANY: usize = 1_300;

fn names(prefix: &str, count: usize) -> Vec<ClientId> {
    (0..count)
        .map(|n| client_id(&format!("{prefix}{n:05}")))
        .collect()
}

async fn claim_fresh(fixture: &Fixture, session: &NodeSession, ids: &[ClientId]) {
    let claims: Vec<_> = ids
        .iter()
        .map(|id| claim(id.key(), 20, ClaimKind::Fresh))
        .collect();
    let verdicts = fixture.claim_batch(session, &claims).await;
    assert!(
        verdicts.iter().all(|verdict| *verdict == granted()),
        "all ids are free, so all claims are granted"
    );
}

async fn release_all(fixture: &Fixture, session: &NodeSession, ids: &[ClientId]) {
    let releases: Vec<_> = ids.iter().map(|id| release(id.key(), 99)).collect();
    let outcome = expect_reply(fixture.registry.release(session, &releases).await);
    assert_eq!(outcome, ReleaseOutcome::Done);
}

/// Another program sets, gets and deletes ids, as go-websocket does. The last write must win, and
/// an id that a node has claimed must be visible.
pub(crate) async fn set_get_delete(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let get = async |name| expect_reply(fixture.registry.get(name).await);
    assert_eq!(get("x").await, None);
    expect_reply(fixture.registry.set("x", "one:1").await);
    assert_eq!(get("x").await.as_deref(), Some("one:1"));
    expect_reply(fixture.registry.set("x", "two:2").await);
    assert_eq!(
        get("x").await.as_deref(),
        Some("two:2"),
        "the last write wins"
    );
    expect_reply(fixture.registry.delete("y").await);
    expect_reply(fixture.registry.delete("x").await);
    assert_eq!(get("x").await, None);
    expect_reply(fixture.registry.delete("x").await);

    let a = fixture.join(ADDRESS_A).await;
    fixture.must_claim(&a, "z", 10).await;
    assert_eq!(get("z").await.as_deref(), Some(ADDRESS_A));
    Ok(())
}

/// All entries of one address are deleted, no matter who wrote them. The count must be exact, other
/// addresses must keep theirs, and the node must be able to claim again.
pub(crate) async fn delete_node_keeps_other_addresses(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    claim_fresh(&fixture, &a, &names("a", 700)).await;
    claim_fresh(&fixture, &b, &names("b", 3)).await;
    for n in 0..5 {
        expect_reply(
            fixture
                .registry
                .set(&format!("foreign a {n}"), ADDRESS_A)
                .await,
        );
        expect_reply(
            fixture
                .registry
                .set(&format!("foreign {n}"), FOREIGN_ADDRESS)
                .await,
        );
    }
    assert_eq!(
        expect_reply(fixture.registry.delete_node(ADDRESS_A).await),
        705
    );
    assert_eq!(
        expect_reply(fixture.registry.delete_node(ADDRESS_A).await),
        0
    );
    assert_eq!(fixture.locate("a00000").await, None);
    assert!(fixture.ids_of(&a).await.is_empty());
    fixture.assert_at("b00000", ADDRESS_B, 20).await;
    let all = fixture.scan_all().await;
    assert_eq!(all.len(), 8);
    assert!(all.values().all(|address| **address != *ADDRESS_A));
    assert_eq!(
        expect_reply(fixture.registry.delete_node(FOREIGN_ADDRESS).await),
        5
    );
    assert_eq!(fixture.scan_all().await.len(), 3);
    fixture.must_claim(&a, "a00000", 30).await;
    Ok(())
}

/// 1,300 claims in one call, of which a third loses. There must be one verdict for each claim, in
/// order. The same holds for releases, and for empty batches.
pub(crate) async fn large_batches_are_one_call(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    let ids = names("", MANY);
    claim_fresh(&fixture, &a, &ids).await;
    let stamp = |n: usize| if n.is_multiple_of(3) { 10 } else { 30 };
    let claims: Vec<Claim> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| claim(id.key(), stamp(n), ClaimKind::Fresh))
        .collect();
    for (n, verdict) in fixture
        .claim_batch(&b, &claims)
        .await
        .into_iter()
        .enumerate()
    {
        match verdict {
            Verdict::Granted { displaced } => {
                assert!(!n.is_multiple_of(3), "{n} is older");
                assert_eq!(displaced.as_deref(), Some(ADDRESS_A));
            }
            Verdict::Taken { by } => {
                assert!(n.is_multiple_of(3), "{n} is newer");
                assert_eq!(*by, *ADDRESS_A);
            }
        }
    }
    let thirds = MANY.div_ceil(3);
    assert_eq!(fixture.ids_of(&a).await.len(), thirds);
    assert_eq!(fixture.ids_of(&b).await.len(), MANY - thirds);
    release_all(&fixture, &a, &ids).await;
    assert!(fixture.ids_of(&a).await.is_empty());
    assert_eq!(
        fixture.ids_of(&b).await.len(),
        MANY - thirds,
        "a release by A must not remove entries of B"
    );
    release_all(&fixture, &b, &ids).await;
    assert!(fixture.scan_all().await.is_empty());
    let none = fixture.claim_batch(&a, &[]).await;
    assert_eq!(none, []);
    release_all(&fixture, &a, &[]).await;
    Ok(())
}

/// A scan reads 2,600 entries. In a second scan, entries are released and claimed between the
/// pages. Every entry that exists during the whole scan must appear in it.
pub(crate) async fn a_scan_returns_all_entries(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    let (of_a, of_b) = (names("a", MANY), names("b", MANY));
    claim_fresh(&fixture, &a, &of_a).await;
    claim_fresh(&fixture, &b, &of_b).await;
    let all = fixture.scan_all().await;
    assert!(
        all.keys().eq(of_a.iter().chain(&of_b)),
        "the scan must return every id once it is merged"
    );
    assert!(
        of_a.iter().all(|id| *all[id] == *ADDRESS_A)
            && of_b.iter().all(|id| *all[id] == *ADDRESS_B)
    );

    let (leaving, staying) = of_a.split_at(MANY / 2);
    let new_ids = names("c", MANY);
    let first = expect_reply(
        fixture
            .registry
            .scan(tieline_registry::Cursor::default())
            .await,
    );
    let mut seen: std::collections::BTreeSet<_> =
        first.items.into_iter().map(|(id, _)| id).collect();
    let mut from = first.next;
    let mut moves = leaving.chunks(100).zip(new_ids.chunks(100));
    while let Some(cursor) = from {
        if let Some((leave, come)) = moves.next() {
            release_all(&fixture, &a, leave).await;
            claim_fresh(&fixture, &a, come).await;
        }
        let page = expect_reply(fixture.registry.scan(cursor).await);
        seen.extend(page.items.into_iter().map(|(id, _)| id));
        from = page.next;
    }
    let missing: Vec<_> = staying
        .iter()
        .chain(&of_b)
        .filter(|id| !seen.contains(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "{} entries existed during the whole scan and were not returned",
        missing.len()
    );
    Ok(())
}

/// Two nodes have 1,300 and 7 ids. Each listing must contain exactly the ids of its node, also
/// after one id has moved.
pub(crate) async fn ids_of_lists_one_address(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    assert!(fixture.ids_of(&a).await.is_empty());
    let (of_a, of_b) = (names("a", MANY), names("b", 7));
    claim_fresh(&fixture, &a, &of_a).await;
    claim_fresh(&fixture, &b, &of_b).await;
    assert!(fixture.ids_of(&a).await == of_a);
    assert_eq!(fixture.ids_of(&b).await, of_b);
    fixture.must_claim(&b, "a00000", 30).await;
    assert!(fixture.ids_of(&a).await == of_a[1..]);
    assert_eq!(fixture.ids_of(&b).await.len(), 8);
    Ok(())
}

/// The expired node, where the registry leaves the removal to a reaper.
async fn expired(fixture: &Fixture, address: &str) -> Option<ExpiredNode> {
    let expired = expect_reply(fixture.registry.expired().await);
    let addresses: Vec<_> = expired.iter().map(|expired| &*expired.address).collect();
    assert!(
        addresses.is_empty() || addresses == [address],
        "{addresses:?}"
    );
    expired.into_iter().next()
}

/// A node with 25 ids expires, of which another node and a foreign program have taken one each.
/// Where the registry leaves the removal to a reaper, each call must remove at most 10 entries. In
/// the end only the two entries of others must be left.
pub(crate) async fn reaping_goes_in_chunks(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join_for(ADDRESS_A, harness.lease()).await;
    let b = fixture.join(ADDRESS_B).await;
    let ids = names("", 25);
    claim_fresh(&fixture, &a, &ids).await;
    fixture.must_claim(&b, "00000", 30).await;
    expect_reply(fixture.registry.set("00001", FOREIGN_ADDRESS).await);
    assert_eq!(
        expired(&fixture, ADDRESS_A).await,
        None,
        "both leases are alive"
    );
    harness.pass(harness.expiry()).await;
    if let Some(expired) = expired(&fixture, ADDRESS_A).await {
        let left = expect_reply(fixture.registry.nodes().await);
        assert_eq!(left.iter().filter(|node| !node.leased).count(), 1);
        assert!(
            expect_reply(fixture.registry.reap(&expired, 10).await),
            "14 entries are left to remove"
        );
        assert_eq!(fixture.ids_of(&a).await.len(), 14);
        while expect_reply(fixture.registry.reap(&expired, 10).await) {}
        assert!(
            !expect_reply(fixture.registry.reap(&expired, 10).await),
            "nothing is left to remove"
        );
    }
    assert!(fixture.ids_of(&a).await.is_empty());
    let all = fixture.scan_all().await;
    assert_eq!(
        all.len(),
        2,
        "the entries of B and of the foreign program must stay: {all:?}"
    );
    fixture.assert_at("00000", ADDRESS_B, 30).await;
    let nodes = expect_reply(fixture.registry.nodes().await);
    assert_eq!(nodes.len(), 1);
    Ok(())
}

/// A node expires, and renews its lease before the reaper acts. The reaper must remove nothing, not
/// even when the lease has expired again: it has to find the new expiry first.
pub(crate) async fn reaping_stops_at_a_renewed_lease(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join_for(ADDRESS_A, harness.lease()).await;
    claim_fresh(&fixture, &a, &names("", 5)).await;
    harness.pass(harness.expiry()).await;
    let Some(seen) = expired(&fixture, ADDRESS_A).await else {
        return Ok(());
    };
    let renewal = expect_reply(fixture.registry.renew(&a, report(1)).await);
    assert!(matches!(renewal, Renewal::Revived(_)), "{renewal:?}");
    assert!(
        !expect_reply(fixture.registry.reap(&seen, 10).await),
        "the lease was renewed, so nothing is removed"
    );
    assert_eq!(fixture.ids_of(&a).await.len(), 5);
    harness.pass(harness.expiry()).await;
    assert!(
        !expect_reply(fixture.registry.reap(&seen, 10).await),
        "the lease has expired again, but this expiry was not found yet"
    );
    assert_eq!(fixture.ids_of(&a).await.len(), 5);
    let again = expired(&fixture, ADDRESS_A)
        .await
        .expect("the lease has expired");
    assert_ne!(again, seen);
    while expect_reply(fixture.registry.reap(&again, 3).await) {}
    assert!(fixture.scan_all().await.is_empty());
    assert_eq!(
        expect_reply(fixture.registry.renew(&a, report(1)).await),
        Renewal::Lost
    );
    Ok(())
}

/// Connections come, move between nodes and go, and both nodes leave. The registry must have no
/// entries and no nodes left.
pub(crate) async fn no_data_remains(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    for round in 0..5 {
        let ids = names(&format!("{round} "), 200);
        claim_fresh(&fixture, &a, &ids).await;
        let moved = ids.iter().map(|id| claim(id.key(), 30, ClaimKind::Fresh));
        fixture.claim_batch(&b, &moved.collect::<Vec<_>>()).await;
        expect_reply(fixture.registry.set(ids[0].key(), FOREIGN_ADDRESS).await);
        expect_reply(fixture.registry.delete(ids[0].key()).await);
        release_all(&fixture, &a, &ids).await;
        release_all(&fixture, &b, &ids).await;
    }
    assert!(fixture.ids_of(&a).await.is_empty());
    assert!(fixture.ids_of(&b).await.is_empty());
    assert!(fixture.scan_all().await.is_empty());
    expect_reply(fixture.registry.leave(&a).await);
    expect_reply(fixture.registry.leave(&b).await);
    assert_eq!(expect_reply(fixture.registry.nodes().await), []);
    assert_eq!(expect_reply(fixture.registry.expired().await), []);
    Ok(())
}
