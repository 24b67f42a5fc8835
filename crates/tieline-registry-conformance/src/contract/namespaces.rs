//! The same names in several namespaces.
//!
//! Owns what keeps them apart. Ids are written as keys here: a NUL, the namespace, a NUL and the name.

use ClaimKind::{Exclusive, Fresh, Held};
use tieline_registry::{
    ClaimKind, Entry, MAX_NAME, MAX_NAMESPACE, Owner, RegistryErrorKind, ReleaseOutcome, Renewal,
    id,
};

use super::fixture::{
    ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, Fixture, claim, displacing, granted, release, report,
    taken,
};
use crate::{
    expect::{client_id, expect_reply},
    harness::{RegistryHarness, ScenarioResult},
};

/// One name in the default namespace and in two others.
const DEFAULT: &str = "x";
const CHAT: &str = "\0chat\0x";
const GAME: &str = "\0game\0x";
const ALL: [&str; 3] = [DEFAULT, CHAT, GAME];

async fn scan_finds(fixture: &Fixture, expected: &[(&str, &str)]) {
    let all = fixture.scan_all().await;
    let all = all.iter().map(|(id, address)| (id.key(), &**address));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(all.collect::<Vec<_>>(), expected, "`scan`");
}

/// Two nodes claim, locate, list and release one name in three namespaces. What happens in one must leave
/// the others as they are.
pub(crate) async fn namespaces_share_no_ids(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    assert_eq!(fixture.claim(&a, DEFAULT, 30, Fresh).await, granted());
    assert_eq!(fixture.locate(CHAT).await, None, "only its name is taken");
    assert_eq!(fixture.claim(&b, CHAT, 20, Exclusive).await, granted());
    assert_eq!(fixture.claim(&b, GAME, 10, Held).await, granted());
    fixture.assert_at(DEFAULT, ADDRESS_A, 30).await;
    fixture.assert_at(CHAT, ADDRESS_B, 20).await;
    fixture.assert_at(GAME, ADDRESS_B, 10).await;
    assert_eq!(fixture.ids_of(&a).await, [client_id(DEFAULT)]);
    assert_eq!(fixture.ids_of(&b).await, [CHAT, GAME].map(client_id));

    assert_eq!(fixture.claim(&a, CHAT, 19, Fresh).await, taken(ADDRESS_B));
    assert_eq!(
        fixture.claim(&a, CHAT, 29, Exclusive).await,
        taken(ADDRESS_B)
    );
    assert_eq!(
        fixture.claim(&a, CHAT, 21, Fresh).await,
        displacing(ADDRESS_B)
    );
    assert_eq!(fixture.claim(&a, CHAT, 21, Held).await, granted());
    fixture.assert_at(GAME, ADDRESS_B, 10).await;
    let everything = [(DEFAULT, ADDRESS_A), (CHAT, ADDRESS_A), (GAME, ADDRESS_B)];
    scan_finds(&fixture, &everything).await;

    fixture.release(&b, CHAT, 99).await;
    fixture.release(&a, CHAT, 20).await;
    fixture.assert_at(CHAT, ADDRESS_A, 21).await;
    fixture.release(&a, DEFAULT, 99).await;
    assert_eq!(fixture.locate(DEFAULT).await, None);
    fixture.assert_at(CHAT, ADDRESS_A, 21).await;
    fixture.release(&a, CHAT, 21).await;
    scan_finds(&fixture, &[(GAME, ADDRESS_B)]).await;
    assert_eq!(fixture.release(&b, GAME, 10).await, ReleaseOutcome::Done);
    scan_finds(&fixture, &[]).await;
    Ok(())
}

/// Another program writes and deletes a name. That must change the default namespace only; what it writes
/// under the key of another one must be refused.
pub(crate) async fn other_programs_reach_the_default_namespace_only(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join(ADDRESS_A).await;
    fixture.must_claim(&a, CHAT, 20).await;
    expect_reply(fixture.registry.set(DEFAULT, FOREIGN_ADDRESS).await);
    let foreign = Entry {
        address: FOREIGN_ADDRESS.into(),
        owner: Owner::Foreign,
    };
    assert_eq!(fixture.locate(DEFAULT).await, Some(foreign));
    fixture.assert_at(CHAT, ADDRESS_A, 20).await;
    assert_eq!(fixture.claim(&a, CHAT, 20, Held).await, granted());
    for key in [CHAT, GAME] {
        let set = fixture.registry.set(key, FOREIGN_ADDRESS).await;
        let delete = fixture.registry.delete(key).await;
        for refused in [set, delete] {
            let kind = refused.map_err(|error| error.kind());
            assert_eq!(kind, Err(RegistryErrorKind::InvalidInput), "{key:?}");
        }
    }
    let get = async |key| expect_reply(fixture.registry.get(key).await);
    assert_eq!(get(CHAT).await.as_deref(), Some(ADDRESS_A));
    assert_eq!(get(GAME).await, None);
    scan_finds(&fixture, &[(DEFAULT, FOREIGN_ADDRESS), (CHAT, ADDRESS_A)]).await;
    expect_reply(fixture.registry.delete(DEFAULT).await);
    fixture.assert_at(CHAT, ADDRESS_A, 20).await;
    Ok(())
}

/// Ids of several namespaces are claimed, displaced and released, while another program has one in the
/// default namespace. Where the registry reports counts with a renewal, they must be exact.
pub(crate) async fn lease_info_counts_ids_of_all_namespaces(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    let assert_counts = async |expected: (u64, i64), when: &str| {
        let renewal = expect_reply(fixture.registry.renew(&a, report(1)).await);
        let Renewal::Renewed(lease_info) = renewal else {
            panic!("the lease is alive, so the renewal must succeed: {renewal:?}");
        };
        let (held, foreign) = (lease_info.entry_count, lease_info.foreign_balance);
        assert!(
            held.is_none_or(|held| held == expected.0),
            "{when}: {held:?}"
        );
        assert!(
            foreign.is_none_or(|foreign| foreign == expected.1),
            "{when}: the registry reports {foreign:?} foreign entries"
        );
    };
    for key in ALL {
        fixture.must_claim(&a, key, 10).await;
        fixture.must_claim(&a, key, 11).await;
    }
    assert_counts((3, 0), "claimed, and repeated").await;
    expect_reply(fixture.registry.set("z", FOREIGN_ADDRESS).await);
    assert_counts((3, 1), "one foreign").await;
    fixture.must_claim(&b, CHAT, 12).await;
    fixture.must_claim(&b, "\0chat\0z", 12).await;
    assert_counts((2, 1), "one displaced, and a new one elsewhere").await;
    expect_reply(fixture.registry.delete(DEFAULT).await);
    assert_counts((2, 0), "one entry deleted").await;
    fixture.release(&a, GAME, 11).await;
    fixture.release(&b, CHAT, 12).await;
    assert_counts((1, 0), "two released").await;
    assert_eq!(
        expect_reply(fixture.registry.delete_node(ADDRESS_B).await),
        1
    );
    assert_counts((1, 0), "a node deleted").await;
    fixture.release(&a, DEFAULT, 11).await;
    assert_counts((0, 1), "only the foreign one is left").await;
    Ok(())
}

/// The ids of an address are deleted in all namespaces, and counted; those of another one must stay.
pub(crate) async fn delete_node_reaches_all_namespaces(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    for key in ALL {
        fixture.must_claim(&a, key, 10).await;
    }
    fixture.must_claim(&b, "\0chat\0y", 10).await;
    assert_eq!(
        expect_reply(fixture.registry.delete_node(ADDRESS_A).await),
        3
    );
    assert_eq!(
        expect_reply(fixture.registry.delete_node(ADDRESS_A).await),
        0
    );
    assert!(fixture.ids_of(&a).await.is_empty());
    scan_finds(&fixture, &[("\0chat\0y", ADDRESS_B)]).await;
    for key in ALL {
        assert_eq!(fixture.claim(&a, key, 10, Held).await, granted());
    }
    Ok(())
}

/// A node with ids in all namespaces expires. They must be removed, and those of another node stay.
pub(crate) async fn reaping_reaches_all_namespaces(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join_for(ADDRESS_A, harness.lease()).await;
    let b = fixture.join(ADDRESS_B).await;
    for key in ALL {
        fixture.must_claim(&a, key, 10).await;
    }
    fixture.must_claim(&b, GAME, 20).await;
    harness.pass(harness.expiry()).await;
    for expired in expect_reply(fixture.registry.expired().await) {
        while expect_reply(fixture.registry.reap(&expired, 1).await) {}
    }
    scan_finds(&fixture, &[(GAME, ADDRESS_B)]).await;
    assert_eq!(fixture.locate(CHAT).await, None);
    let renewal = expect_reply(fixture.registry.renew(&b, report(1)).await);
    if let Renewal::Renewed(lease_info) = renewal {
        let foreign = lease_info.foreign_balance;
        assert!(foreign.is_none_or(|foreign| foreign == 0), "{foreign:?}");
    }
    fixture.release(&b, GAME, 20).await;
    expect_reply(fixture.registry.leave(&b).await);
    assert_eq!(expect_reply(fixture.registry.nodes().await), []);
    Ok(())
}

/// Namespaces and names that look like keys, or like what a store has for itself. Each must be an id of its
/// own.
pub(crate) async fn unusual_namespaces_work(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let (a, b) = (fixture.join(ADDRESS_A).await, fixture.join(ADDRESS_B).await);
    let unusual = [
        "chat\0x",
        "x\0chat\0x",
        "chat/x",
        "chat",
        "\\0chat\\0x",
        "\u{1}chat\u{1}x",
        "\0chat\0x",
        "\0cha\0tx",
        "\0chat\0chat\0x",
        "\0chat\0x\0",
        "\0x\0chat",
        "\0 \0 ",
        "\0own/\0node/h:1",
        "\0node/h:1\0epoch",
        "\0/\0/",
        "\0{}\0{x}",
        "\0*\0?",
        "\x001 h:1\x001 h:1",
        "\0日本\0語",
        "\0\u{1}\0\u{1}",
    ];
    let claims = |stamp| unusual.map(|key| claim(key, stamp, Fresh));
    let all = |verdict| vec![verdict; unusual.len()];
    assert_eq!(fixture.claim_batch(&a, &claims(20)).await, all(granted()));
    scan_finds(&fixture, &unusual.map(|key| (key, ADDRESS_A))).await;
    let mut ids = unusual.map(client_id);
    ids.sort_unstable();
    assert_eq!(fixture.ids_of(&a).await, ids);
    let displaced = all(displacing(ADDRESS_A));
    assert_eq!(fixture.claim_batch(&b, &claims(30)).await, displaced);
    for (n, key) in unusual.into_iter().enumerate() {
        fixture.assert_at(key, ADDRESS_B, 30).await;
        fixture.release(&b, key, 30).await;
        assert_eq!(fixture.locate(key).await, None, "{key:?}");
        let left = unusual[n + 1..].iter().map(|key| (*key, ADDRESS_B));
        scan_finds(&fixture, &left.collect::<Vec<_>>()).await;
    }
    Ok(())
}

/// As many of the longest ids as a node sends at once. They must fit whatever limits requests have.
pub(crate) async fn the_longest_ids_fit_one_batch(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let a = fixture.join(ADDRESS_A).await;
    let namespace = "n".repeat(MAX_NAMESPACE);
    let key = |n| id::key(&namespace, &format!("{n:0MAX_NAME$}")).into_owned();
    let keys: Vec<_> = (0..512).map(key).collect();
    let claims: Vec<_> = keys.iter().map(|key| claim(key, 20, Fresh)).collect();
    let verdicts = fixture.claim_batch(&a, &claims).await;
    assert!(verdicts.iter().all(|verdict| *verdict == granted()));
    assert_eq!(fixture.ids_of(&a).await.len(), keys.len());
    assert_eq!(fixture.scan_all().await.len(), keys.len());
    let releases: Vec<_> = keys.iter().map(|key| release(key, 20)).collect();
    let outcome = expect_reply(fixture.registry.release(&a, &releases).await);
    assert_eq!(outcome, ReleaseOutcome::Done);
    assert!(fixture.scan_all().await.is_empty());
    Ok(())
}
