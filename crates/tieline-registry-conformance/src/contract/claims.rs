//! Claims and releases of single ids: who wins, who yields, and what is removed.

use ClaimKind::{Exclusive, Fresh, Held};
use tieline_registry::{
    ClaimKind, ClaimOutcomes, Entry, JoinRequest, MAX_NAME, Owner, ReleaseOutcome,
};

use super::fixture::{
    ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, Fixture, LONG_LEASE, claim, displacing, granted,
    request, taken,
};
use crate::{
    expect::{client_id, expect_reply},
    harness::{RegistryHarness, ScenarioResult},
};

/// Two nodes claim an id with different stamps. The later stamp must win, in any order of the
/// calls; of two equal stamps, the first to be claimed.
pub(crate) async fn the_later_stamp_wins(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    assert_eq!(fixture.claim(&a, "x", 20, Fresh).await, granted());
    assert_eq!(fixture.claim(&b, "x", 10, Fresh).await, taken(ADDRESS_A));
    assert_eq!(
        fixture.claim(&b, "x", 20, Fresh).await,
        taken(ADDRESS_A),
        "of two equal stamps, the first to be claimed wins"
    );
    assert_eq!(
        fixture.claim(&b, "x", 21, Fresh).await,
        displacing(ADDRESS_A)
    );
    assert_eq!(fixture.claim(&a, "x", 20, Held).await, taken(ADDRESS_B));
    assert_eq!(
        fixture.claim(&a, "x", 30, Held).await,
        displacing(ADDRESS_B)
    );
    fixture.assert_at("x", ADDRESS_A, 30).await;
    Ok(())
}

/// A node repeats its claim with every kind, and with an older stamp. Each must be granted, and the
/// entry must keep the latest stamp.
pub(crate) async fn a_claim_may_be_repeated(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join(ADDRESS_A).await;
    for kind in [Fresh, Fresh, Held, Exclusive] {
        assert_eq!(fixture.claim(&a, "x", 20, kind).await, granted());
    }
    assert_eq!(
        fixture.claim(&a, "x", 10, Fresh).await,
        granted(),
        "an older claim of the same node is granted"
    );
    fixture.assert_at("x", ADDRESS_A, 20).await;
    assert_eq!(fixture.claim(&a, "x", 30, Fresh).await, granted());
    fixture.assert_at("x", ADDRESS_A, 30).await;
    Ok(())
}

/// A foreign program overwrites the entry of a node. A held claim, or a retry of the old claim,
/// must answer `Taken` with the foreign address; a fresh claim with a later stamp must be granted.
pub(crate) async fn a_held_claim_yields_to_a_foreign_write(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    fixture.must_claim(&a, "x", 20).await;
    expect_reply(fixture.registry.set("x", FOREIGN_ADDRESS).await);
    let foreign = Entry {
        address: FOREIGN_ADDRESS.into(),
        owner: Owner::Foreign,
    };
    assert_eq!(fixture.locate("x").await, Some(foreign.clone()));
    assert_eq!(
        fixture.claim(&a, "x", 20, Held).await,
        taken(FOREIGN_ADDRESS)
    );
    assert_eq!(
        fixture.claim(&b, "x", 30, Held).await,
        taken(FOREIGN_ADDRESS)
    );
    assert_eq!(
        fixture.claim(&a, "x", 20, Fresh).await,
        taken(FOREIGN_ADDRESS),
        "a retry of a claim from before the foreign write"
    );
    assert_eq!(fixture.locate("x").await, Some(foreign));
    assert_eq!(
        fixture.claim(&a, "x", 30, Fresh).await,
        granted(),
        "a connection that arrived after the foreign write"
    );
    fixture.assert_at("x", ADDRESS_A, 30).await;
    expect_reply(fixture.registry.set("y", FOREIGN_ADDRESS).await);
    assert_eq!(
        fixture.claim(&b, "y", 5, Held).await,
        taken(FOREIGN_ADDRESS)
    );
    assert_eq!(
        fixture.claim(&b, "y", 5, Fresh).await,
        granted(),
        "a go-websocket node gets no evict request, so none is named"
    );
    fixture.assert_at("y", ADDRESS_B, 5).await;
    Ok(())
}

/// A node makes exclusive claims. They must be refused while another node or a foreign program has
/// the id, and granted when the id is free or already belongs to this node.
pub(crate) async fn an_exclusive_claim_displaces_nobody(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    assert_eq!(fixture.claim(&a, "x", 20, Exclusive).await, granted());
    assert_eq!(
        fixture.claim(&b, "x", 30, Exclusive).await,
        taken(ADDRESS_A)
    );
    fixture.assert_at("x", ADDRESS_A, 20).await;
    assert_eq!(
        fixture.claim(&a, "x", 40, Exclusive).await,
        granted(),
        "a node does not displace itself"
    );
    expect_reply(fixture.registry.set("y", FOREIGN_ADDRESS).await);
    assert_eq!(
        fixture.claim(&b, "y", 30, Exclusive).await,
        taken(FOREIGN_ADDRESS)
    );
    expect_reply(fixture.registry.delete("y").await);
    assert_eq!(fixture.claim(&b, "y", 30, Exclusive).await, granted());
    fixture.release(&a, "x", 99).await;
    assert_eq!(fixture.claim(&b, "x", 50, Exclusive).await, granted());
    Ok(())
}

/// An entry names a node's address but has no shadow: data was lost, or another program was at that
/// address before. The node's claims of every kind must be granted; those of other nodes must
/// yield.
pub(crate) async fn its_own_address_is_not_foreign(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    for (name, kind) in [("x", Held), ("y", Exclusive), ("z", Fresh)] {
        expect_reply(fixture.registry.set(name, ADDRESS_A).await);
        assert_eq!(
            fixture.claim(&a, name, 20, kind).await,
            granted(),
            "{kind:?}"
        );
        fixture.assert_at(name, ADDRESS_A, 20).await;
    }
    expect_reply(fixture.registry.set("v", ADDRESS_A).await);
    assert_eq!(fixture.claim(&b, "v", 20, Held).await, taken(ADDRESS_A));
    Ok(())
}

/// The node that has an id expires, and another node makes an exclusive claim. It must be granted;
/// the verdict names the displaced node only if the registry still has its entry.
pub(crate) async fn an_exclusive_claim_takes_from_an_expired_node(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join_for(ADDRESS_A, harness.lease()).await;
    let b = fixture.join(ADDRESS_B).await;
    fixture.must_claim(&a, "x", 20).await;
    harness.pass(harness.expiry()).await;
    let verdict = fixture.claim(&b, "x", 30, Exclusive).await;
    assert!(
        verdict == displacing(ADDRESS_A) || verdict == granted(),
        "{verdict:?}"
    );
    fixture.assert_at("x", ADDRESS_B, 30).await;
    Ok(())
}

/// A node claims and releases after its lease has expired. Both must answer `Lost` and change
/// nothing.
pub(crate) async fn claims_need_a_lease(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join_for(ADDRESS_A, harness.lease()).await;
    let b = fixture.join(ADDRESS_B).await;
    fixture.must_claim(&b, "y", 10).await;
    harness.pass(harness.expiry()).await;
    let claims = [claim("x", 20, Fresh), claim("y", 21, Fresh)];
    assert_eq!(
        expect_reply(fixture.registry.claim(&a, &claims).await),
        ClaimOutcomes::Lost
    );
    assert_eq!(fixture.locate("x").await, None);
    assert_eq!(fixture.release(&a, "y", 99).await, ReleaseOutcome::Lost);
    fixture.assert_at("y", ADDRESS_B, 10).await;
    Ok(())
}

/// A process that was replaced claims and releases. Both must answer `Lost` and change nothing.
pub(crate) async fn claims_of_a_replaced_process_are_lost(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let dead = fixture.join(ADDRESS_A).await;
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(ADDRESS_A, LONG_LEASE)
    };
    let (session, _) = fixture.must_join(&successor).await;
    fixture.must_claim(&session, "x", 20).await;
    let claims = [claim("x", 30, Fresh), claim("y", 30, Fresh)];
    assert_eq!(
        expect_reply(fixture.registry.claim(&dead, &claims).await),
        ClaimOutcomes::Lost
    );
    assert_eq!(fixture.release(&dead, "x", 99).await, ReleaseOutcome::Lost);
    fixture.assert_at("x", ADDRESS_A, 20).await;
    assert_eq!(fixture.locate("y").await, None);
    Ok(())
}

/// A node releases an id whose entry has a later stamp, then one that belongs to another node, then
/// to a foreign program. All these entries must stay. A repeated release must succeed.
pub(crate) async fn a_release_keeps_a_newer_entry(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    fixture.must_claim(&a, "x", 20).await;
    assert_eq!(fixture.release(&a, "x", 19).await, ReleaseOutcome::Done);
    fixture.assert_at("x", ADDRESS_A, 20).await;
    fixture.must_claim(&b, "x", 30).await;
    assert_eq!(
        fixture.release(&a, "x", 99).await,
        ReleaseOutcome::Done,
        "the entry belongs to another node"
    );
    fixture.assert_at("x", ADDRESS_B, 30).await;
    assert_eq!(fixture.release(&b, "x", 30).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    assert_eq!(
        fixture.release(&b, "x", 30).await,
        ReleaseOutcome::Done,
        "a repeated release succeeds"
    );
    expect_reply(fixture.registry.set("x", FOREIGN_ADDRESS).await);
    assert_eq!(fixture.release(&b, "x", 99).await, ReleaseOutcome::Done);
    let entry = fixture.locate("x").await.expect("the foreign entry stays");
    assert_eq!(*entry.address, *FOREIGN_ADDRESS);
    Ok(())
}

/// An entry names the node's address but has no shadow: a foreign program wrote it, or data was
/// lost. The node's release must remove it.
pub(crate) async fn a_release_removes_an_entry_without_stamp(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join(ADDRESS_A).await;
    expect_reply(fixture.registry.set("x", ADDRESS_A).await);
    assert_eq!(fixture.release(&a, "x", 99).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    Ok(())
}

/// A foreign program deletes the entry of a node. The registry must still locate the client and
/// refuse older claims; a held claim must write the entry again; a release must remove what is
/// left.
pub(crate) async fn the_shadow_answers_after_a_foreign_delete(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    fixture.must_claim(&a, "x", 20).await;
    expect_reply(fixture.registry.delete("x").await);
    fixture.assert_at("x", ADDRESS_A, 20).await;
    assert_eq!(fixture.claim(&b, "x", 10, Fresh).await, taken(ADDRESS_A));
    assert_eq!(fixture.claim(&a, "x", 20, Held).await, granted());
    let all = fixture.scan_all().await;
    assert_eq!(
        all.get("x").map(|address| &**address),
        Some(ADDRESS_A),
        "a held claim, as an audit makes it, writes the entry again"
    );
    expect_reply(fixture.registry.delete("x").await);
    assert_eq!(fixture.release(&a, "x", 20).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    Ok(())
}

/// Ids with spaces, control characters, emoji, quotes, and characters that have a meaning to some
/// store. Each must work as an id in every operation, and be distinct from all others.
pub(crate) async fn unusual_ids_work(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    let long = "ü".repeat(MAX_NAME / 2);
    let unusual = unusual_ids(&long);
    let claims = |stamp: u64| unusual.map(|name| claim(name, stamp, Fresh));
    let all_granted = vec![granted(); unusual.len()];
    assert_eq!(fixture.claim_batch(&a, &claims(20)).await, all_granted);
    for name in unusual {
        fixture.assert_at(name, ADDRESS_A, 20).await;
    }
    let mut names = unusual.map(client_id);
    names.sort_unstable();
    assert_eq!(fixture.ids_of(&a).await, names);
    assert!(
        fixture.scan_all().await.keys().eq(&names),
        "a scan must return every id unchanged"
    );
    let all_taken = vec![taken(ADDRESS_A); unusual.len()];
    assert_eq!(fixture.claim_batch(&b, &claims(10)).await, all_taken);
    let all_displaced = vec![displacing(ADDRESS_A); unusual.len()];
    assert_eq!(fixture.claim_batch(&b, &claims(30)).await, all_displaced);
    for name in unusual {
        fixture.assert_at(name, ADDRESS_B, 30).await;
        assert_eq!(fixture.release(&b, name, 30).await, ReleaseOutcome::Done);
        assert_eq!(fixture.locate(name).await, None, "{name:?}");
        expect_reply(fixture.registry.set(name, FOREIGN_ADDRESS).await);
        let address = expect_reply(fixture.registry.get(name).await);
        assert_eq!(address.as_deref(), Some(FOREIGN_ADDRESS), "{name:?}");
        expect_reply(fixture.registry.delete(name).await);
    }
    assert!(fixture.scan_all().await.is_empty());
    Ok(())
}

/// Ids that a store could confuse with its own syntax, or change.
fn unusual_ids(long: &str) -> [&str; 33] {
    [
        " ",
        "  x  ",
        "x",
        "X",
        "a\nb\r\n",
        "\t",
        "\u{1}",
        "\u{7f}",
        "日本語",
        "👩‍👩‍👧",
        long,
        "{}",
        "{x}",
        "\"x\"",
        "'",
        "\\",
        "+x",
        "-x",
        "+",
        "-",
        "0",
        "1 a.test:7000",
        "%",
        "*",
        "?[x]",
        ":own",
        "x/",
        "/",
        "//x",
        "x\u{10ffff}",
        "<&>",
        "$x",
        "null",
    ]
}
