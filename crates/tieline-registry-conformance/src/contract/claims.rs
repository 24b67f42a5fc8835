//! Claims and releases of single ids.

use ClaimKind::{Exclusive, Fresh, Held};
use tieline_registry::{
    ClaimKind, ClaimOutcomes, Entry, JoinRequest, MAX_NAME, Owner, ReleaseOutcome, Verdict,
};

use super::{
    A, B, FOREIGN, Fixture, STEADY, claim, displacing, granted, reference, request, taken,
};
use crate::{Played, RegistryHarness, simulation::done};

pub(in super::super) async fn the_later_stamp_wins(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    assert_eq!(fixture.claim(&a, "x", 20, Fresh).await, granted());
    assert_eq!(fixture.claim(&b, "x", 10, Fresh).await, taken(A));
    assert_eq!(
        fixture.claim(&b, "x", 20, Fresh).await,
        taken(A),
        "the first of two alike stays"
    );
    assert_eq!(fixture.claim(&b, "x", 21, Fresh).await, displacing(A));
    assert_eq!(fixture.claim(&a, "x", 20, Held).await, taken(B));
    assert_eq!(fixture.claim(&a, "x", 30, Held).await, displacing(B));
    fixture.assert_at("x", A, 30).await;
    Ok(())
}

pub(in super::super) async fn a_claim_may_be_repeated(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let a = fixture.join(A).await;
    for kind in [Fresh, Fresh, Held, Exclusive] {
        assert_eq!(fixture.claim(&a, "x", 20, kind).await, granted());
    }
    assert_eq!(
        fixture.claim(&a, "x", 10, Fresh).await,
        granted(),
        "late, of the same node"
    );
    fixture.assert_at("x", A, 20).await;
    assert_eq!(fixture.claim(&a, "x", 30, Fresh).await, granted());
    fixture.assert_at("x", A, 30).await;
    Ok(())
}

pub(in super::super) async fn a_held_claim_yields_to_a_foreign_write(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    fixture.take(&a, "x", 20).await;
    done(fixture.registry.set("x", FOREIGN).await);
    let foreign = Entry {
        address: FOREIGN.into(),
        owner: Owner::Foreign,
    };
    assert_eq!(fixture.locate("x").await, Some(foreign.clone()));
    assert_eq!(fixture.claim(&a, "x", 20, Held).await, taken(FOREIGN));
    assert_eq!(fixture.claim(&b, "x", 30, Held).await, taken(FOREIGN));
    assert_eq!(
        fixture.claim(&a, "x", 20, Fresh).await,
        taken(FOREIGN),
        "a retry of before"
    );
    assert_eq!(fixture.locate("x").await, Some(foreign));
    assert_eq!(
        fixture.claim(&a, "x", 30, Fresh).await,
        granted(),
        "a new connection"
    );
    fixture.assert_at("x", A, 30).await;
    done(fixture.registry.set("y", FOREIGN).await);
    assert_eq!(fixture.claim(&b, "y", 5, Held).await, taken(FOREIGN));
    assert_eq!(
        fixture.claim(&b, "y", 5, Fresh).await,
        granted(),
        "it displaces no node"
    );
    fixture.assert_at("y", B, 5).await;
    Ok(())
}

pub(in super::super) async fn an_exclusive_claim_displaces_nobody(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    assert_eq!(fixture.claim(&a, "x", 20, Exclusive).await, granted());
    assert_eq!(fixture.claim(&b, "x", 30, Exclusive).await, taken(A));
    fixture.assert_at("x", A, 20).await;
    assert_eq!(
        fixture.claim(&a, "x", 40, Exclusive).await,
        granted(),
        "its own connection moved"
    );
    done(fixture.registry.set("y", FOREIGN).await);
    assert_eq!(fixture.claim(&b, "y", 30, Exclusive).await, taken(FOREIGN));
    done(fixture.registry.delete("y").await);
    assert_eq!(fixture.claim(&b, "y", 30, Exclusive).await, granted());
    fixture.release(&a, "x", 99).await;
    assert_eq!(fixture.claim(&b, "x", 50, Exclusive).await, granted());
    Ok(())
}

/// A node's own address without a shadow is what is left of a loss, or of another program that was at
/// that address: neither keeps its clients away.
pub(in super::super) async fn its_own_address_is_not_foreign(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    for (name, kind) in [("x", Held), ("y", Exclusive), ("z", Fresh)] {
        done(fixture.registry.set(name, A).await);
        assert_eq!(
            fixture.claim(&a, name, 20, kind).await,
            granted(),
            "{kind:?}"
        );
        fixture.assert_at(name, A, 20).await;
    }
    done(fixture.registry.set("v", A).await);
    assert_eq!(fixture.claim(&b, "v", 20, Held).await, taken(A));
    Ok(())
}

/// Where the registry removes what the dead leave, there is nobody to displace.
pub(in super::super) async fn an_exclusive_claim_takes_from_the_dead(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let a = fixture.join_for(A, harness.lease()).await;
    let b = fixture.join(B).await;
    fixture.take(&a, "x", 20).await;
    harness.pass(harness.expiry()).await;
    let verdict = fixture.claim(&b, "x", 30, Exclusive).await;
    assert!(
        verdict == displacing(A) || verdict == granted(),
        "{verdict:?}"
    );
    fixture.assert_at("x", B, 30).await;
    Ok(())
}

pub(in super::super) async fn claims_need_a_lease(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let a = fixture.join_for(A, harness.lease()).await;
    let b = fixture.join(B).await;
    fixture.take(&b, "y", 10).await;
    harness.pass(harness.expiry()).await;
    let claims = [claim("x", 20, Fresh), claim("y", 21, Fresh)];
    assert_eq!(
        done(fixture.registry.claim(&a, &claims).await),
        ClaimOutcomes::Lost
    );
    assert_eq!(fixture.locate("x").await, None);
    assert_eq!(fixture.release(&a, "y", 99).await, ReleaseOutcome::Lost);
    fixture.assert_at("y", B, 10).await;
    Ok(())
}

pub(in super::super) async fn claims_of_a_replaced_process_are_lost(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let dead = fixture.join(A).await;
    let successor = JoinRequest {
        replace: Some(dead.process),
        ..request(A, STEADY)
    };
    let (session, _) = fixture.let_in(&successor).await;
    fixture.take(&session, "x", 20).await;
    let claims = [claim("x", 30, Fresh), claim("y", 30, Fresh)];
    assert_eq!(
        done(fixture.registry.claim(&dead, &claims).await),
        ClaimOutcomes::Lost
    );
    assert_eq!(fixture.release(&dead, "x", 99).await, ReleaseOutcome::Lost);
    fixture.assert_at("x", A, 20).await;
    assert_eq!(fixture.locate("y").await, None);
    Ok(())
}

pub(in super::super) async fn a_release_spares_the_newer(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    fixture.take(&a, "x", 20).await;
    assert_eq!(fixture.release(&a, "x", 19).await, ReleaseOutcome::Done);
    fixture.assert_at("x", A, 20).await;
    fixture.take(&b, "x", 30).await;
    assert_eq!(
        fixture.release(&a, "x", 99).await,
        ReleaseOutcome::Done,
        "it is another's"
    );
    fixture.assert_at("x", B, 30).await;
    assert_eq!(fixture.release(&b, "x", 30).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    assert_eq!(
        fixture.release(&b, "x", 30).await,
        ReleaseOutcome::Done,
        "once more"
    );
    done(fixture.registry.set("x", FOREIGN).await);
    assert_eq!(fixture.release(&b, "x", 99).await, ReleaseOutcome::Done);
    let entry = fixture.locate("x").await.expect("it is a foreign node's");
    assert_eq!(*entry.address, *FOREIGN);
    Ok(())
}

/// An address in the shared layout that no claim stands behind: a foreign program wrote it, or what
/// Tieline wrote was lost.
pub(in super::super) async fn a_release_takes_what_lost_its_stamp(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let a = fixture.join(A).await;
    done(fixture.registry.set("x", A).await);
    assert_eq!(fixture.release(&a, "x", 99).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    Ok(())
}

pub(in super::super) async fn the_shadow_answers_after_a_deletion(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    fixture.take(&a, "x", 20).await;
    done(fixture.registry.delete("x").await);
    fixture.assert_at("x", A, 20).await;
    assert_eq!(fixture.claim(&b, "x", 10, Fresh).await, taken(A));
    assert_eq!(fixture.claim(&a, "x", 20, Held).await, granted());
    let all = fixture.everything().await;
    assert_eq!(
        all.get("x").map(|address| &**address),
        Some(A),
        "an audit repairs it"
    );
    done(fixture.registry.delete("x").await);
    assert_eq!(fixture.release(&a, "x", 20).await, ReleaseOutcome::Done);
    assert_eq!(fixture.locate("x").await, None);
    Ok(())
}

pub(in super::super) async fn odd_ids_are_ids(harness: &dyn RegistryHarness) -> Played {
    let fixture = Fixture::open(harness).await;
    let (a, b) = (fixture.join(A).await, fixture.join(B).await);
    let long = "ü".repeat(MAX_NAME / 2);
    let odd = [
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
        &long,
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
    ];
    let claims = |stamp: u64| odd.map(|name| claim(name, stamp, Fresh));
    let all_granted = vec![granted(); odd.len()];
    assert_eq!(fixture.claim_all(&a, &claims(20)).await, all_granted);
    for name in odd {
        fixture.assert_at(name, A, 20).await;
    }
    let mut names = odd.map(super::id);
    names.sort_unstable();
    assert_eq!(fixture.ids_of(&a).await, names);
    assert!(
        fixture.everything().await.keys().eq(&names),
        "all of them, as they are"
    );
    let all_taken = vec![taken(A); odd.len()];
    assert_eq!(fixture.claim_all(&b, &claims(10)).await, all_taken);
    let all_displaced = vec![displacing(A); odd.len()];
    assert_eq!(fixture.claim_all(&b, &claims(30)).await, all_displaced);
    for name in odd {
        fixture.assert_at(name, B, 30).await;
        assert_eq!(fixture.release(&b, name, 30).await, ReleaseOutcome::Done);
        assert_eq!(fixture.locate(name).await, None, "{name:?}");
        done(fixture.registry.set(name, FOREIGN).await);
        let address = done(fixture.registry.get(name).await);
        assert_eq!(address.as_deref(), Some(FOREIGN), "{name:?}");
        done(fixture.registry.delete(name).await);
    }
    assert!(fixture.everything().await.is_empty());
    Ok(())
}

/// Some thousands of operations, by chance and always the same, against a few lines that say the model.
pub(in super::super) async fn random_operations_follow_the_rule(
    harness: &dyn RegistryHarness,
) -> Played {
    let fixture = Fixture::open(harness).await;
    let sessions = [
        fixture.join(A).await,
        fixture.join(B).await,
        fixture.join("c.test:7000").await,
    ];
    let mut model = reference::ReferenceModel::default();
    let mut dice = fastrand::Rng::with_seed(7);
    for step in 0..2_000 {
        let name = ["p", "q", "r", "s"][dice.usize(..4)];
        let session = &sessions[dice.usize(..3)];
        let stamp = dice.u64(1..60) + step / 25;
        match dice.u8(..12) {
            0..7 => {
                let kind = [Fresh, Fresh, Held, Exclusive][dice.usize(..4)];
                let verdict = fixture.claim(session, name, stamp, kind).await;
                let expected = model.claim(&session.address, name, stamp, kind);
                let granted = |verdict: &Verdict| matches!(verdict, Verdict::Granted { .. });
                let alike = verdict == expected
                    // Two may hold an exclusive claim back; either may be named.
                    || kind == Exclusive && !granted(&verdict) && !granted(&expected);
                assert!(
                    alike,
                    "step {step}: {name} {stamp} {kind:?}: {verdict:?}, not {expected:?}"
                );
            }
            7..9 => {
                assert_eq!(
                    fixture.release(session, name, stamp).await,
                    ReleaseOutcome::Done
                );
                model.release(&session.address, name, stamp);
            }
            9 => {
                let address = [A, B, FOREIGN, "go.test:8001"][dice.usize(..4)];
                done(fixture.registry.set(name, address).await);
                model.set(name, address);
            }
            10 => {
                done(fixture.registry.delete(name).await);
                model.delete(name);
            }
            _ => {}
        }
        assert_eq!(
            fixture.locate(name).await,
            model.locate(name),
            "step {step}: {name}"
        );
    }
    for session in &sessions {
        assert_eq!(
            fixture.ids_of(session).await,
            model.ids_of(&session.address)
        );
    }
    Ok(())
}
