//! Claims and releases of single ids.

use ClaimKind::{Exclusive, Fresh, Held};
use tieline_registry::{Candidate, ClaimKind, Claimed, Entry, MAX_NAME, Owner, Released, Verdict};

use super::{A, B, Desk, FOREIGN, STEADY, candidate, claim, displacing, granted, random, taken};
use crate::{Bench, Played, world::done};

pub(in super::super) async fn the_later_stamp_wins(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    assert_eq!(desk.claim(&a, "x", 20, Fresh).await, granted());
    assert_eq!(desk.claim(&b, "x", 10, Fresh).await, taken(A));
    assert_eq!(
        desk.claim(&b, "x", 20, Fresh).await,
        taken(A),
        "the first of two alike stays"
    );
    assert_eq!(desk.claim(&b, "x", 21, Fresh).await, displacing(A));
    assert_eq!(desk.claim(&a, "x", 20, Held).await, taken(B));
    assert_eq!(desk.claim(&a, "x", 30, Held).await, displacing(B));
    desk.assert_at("x", A, 30).await;
    Ok(())
}

pub(in super::super) async fn a_claim_may_be_repeated(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let a = desk.join(A).await;
    for kind in [Fresh, Fresh, Held, Exclusive] {
        assert_eq!(desk.claim(&a, "x", 20, kind).await, granted());
    }
    assert_eq!(
        desk.claim(&a, "x", 10, Fresh).await,
        granted(),
        "late, of the same node"
    );
    desk.assert_at("x", A, 20).await;
    assert_eq!(desk.claim(&a, "x", 30, Fresh).await, granted());
    desk.assert_at("x", A, 30).await;
    Ok(())
}

pub(in super::super) async fn a_held_claim_yields_to_a_foreign_write(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    desk.take(&a, "x", 20).await;
    done(desk.registry.set("x", FOREIGN).await);
    let foreign = Entry {
        address: FOREIGN.into(),
        owner: Owner::Foreign,
    };
    assert_eq!(desk.locate("x").await, Some(foreign.clone()));
    assert_eq!(desk.claim(&a, "x", 20, Held).await, taken(FOREIGN));
    assert_eq!(desk.claim(&b, "x", 30, Held).await, taken(FOREIGN));
    assert_eq!(
        desk.claim(&a, "x", 20, Fresh).await,
        taken(FOREIGN),
        "a retry of before"
    );
    assert_eq!(desk.locate("x").await, Some(foreign));
    assert_eq!(
        desk.claim(&a, "x", 30, Fresh).await,
        granted(),
        "a new connection"
    );
    desk.assert_at("x", A, 30).await;
    done(desk.registry.set("y", FOREIGN).await);
    assert_eq!(desk.claim(&b, "y", 5, Held).await, taken(FOREIGN));
    assert_eq!(
        desk.claim(&b, "y", 5, Fresh).await,
        granted(),
        "it displaces no node"
    );
    desk.assert_at("y", B, 5).await;
    Ok(())
}

pub(in super::super) async fn an_exclusive_claim_displaces_nobody(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    assert_eq!(desk.claim(&a, "x", 20, Exclusive).await, granted());
    assert_eq!(desk.claim(&b, "x", 30, Exclusive).await, taken(A));
    desk.assert_at("x", A, 20).await;
    assert_eq!(
        desk.claim(&a, "x", 40, Exclusive).await,
        granted(),
        "its own connection moved"
    );
    done(desk.registry.set("y", FOREIGN).await);
    assert_eq!(desk.claim(&b, "y", 30, Exclusive).await, taken(FOREIGN));
    done(desk.registry.delete("y").await);
    assert_eq!(desk.claim(&b, "y", 30, Exclusive).await, granted());
    desk.release(&a, "x", 99).await;
    assert_eq!(desk.claim(&b, "x", 50, Exclusive).await, granted());
    Ok(())
}

/// A node's own address without a shadow is what is left of a loss, or of another program that was at
/// that address: neither keeps its clients away.
pub(in super::super) async fn its_own_address_is_not_foreign(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    for (name, kind) in [("x", Held), ("y", Exclusive), ("z", Fresh)] {
        done(desk.registry.set(name, A).await);
        assert_eq!(desk.claim(&a, name, 20, kind).await, granted(), "{kind:?}");
        desk.assert_at(name, A, 20).await;
    }
    done(desk.registry.set("v", A).await);
    assert_eq!(desk.claim(&b, "v", 20, Held).await, taken(A));
    Ok(())
}

/// Where the registry removes what the dead leave, there is nobody to displace.
pub(in super::super) async fn an_exclusive_claim_takes_from_the_dead(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let a = desk.join_for(A, bench.lease()).await;
    let b = desk.join(B).await;
    desk.take(&a, "x", 20).await;
    bench.pass(bench.expiry()).await;
    let verdict = desk.claim(&b, "x", 30, Exclusive).await;
    assert!(
        verdict == displacing(A) || verdict == granted(),
        "{verdict:?}"
    );
    desk.assert_at("x", B, 30).await;
    Ok(())
}

pub(in super::super) async fn claims_need_a_lease(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let a = desk.join_for(A, bench.lease()).await;
    let b = desk.join(B).await;
    desk.take(&b, "y", 10).await;
    bench.pass(bench.expiry()).await;
    let claims = [claim("x", 20, Fresh), claim("y", 21, Fresh)];
    assert_eq!(done(desk.registry.claim(&a, &claims).await), Claimed::Lost);
    assert_eq!(desk.locate("x").await, None);
    assert_eq!(desk.release(&a, "y", 99).await, Released::Lost);
    desk.assert_at("y", B, 10).await;
    Ok(())
}

pub(in super::super) async fn claims_of_a_replaced_process_are_lost(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let dead = desk.join(A).await;
    let successor = Candidate {
        replace: Some(dead.process),
        ..candidate(A, STEADY)
    };
    let (session, _) = desk.let_in(&successor).await;
    desk.take(&session, "x", 20).await;
    let claims = [claim("x", 30, Fresh), claim("y", 30, Fresh)];
    assert_eq!(
        done(desk.registry.claim(&dead, &claims).await),
        Claimed::Lost
    );
    assert_eq!(desk.release(&dead, "x", 99).await, Released::Lost);
    desk.assert_at("x", A, 20).await;
    assert_eq!(desk.locate("y").await, None);
    Ok(())
}

pub(in super::super) async fn a_release_spares_the_newer(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    desk.take(&a, "x", 20).await;
    assert_eq!(desk.release(&a, "x", 19).await, Released::Done);
    desk.assert_at("x", A, 20).await;
    desk.take(&b, "x", 30).await;
    assert_eq!(
        desk.release(&a, "x", 99).await,
        Released::Done,
        "it is another's"
    );
    desk.assert_at("x", B, 30).await;
    assert_eq!(desk.release(&b, "x", 30).await, Released::Done);
    assert_eq!(desk.locate("x").await, None);
    assert_eq!(desk.release(&b, "x", 30).await, Released::Done, "once more");
    done(desk.registry.set("x", FOREIGN).await);
    assert_eq!(desk.release(&b, "x", 99).await, Released::Done);
    let entry = desk.locate("x").await.expect("it is a foreign node's");
    assert_eq!(*entry.address, *FOREIGN);
    Ok(())
}

/// An address in the shared layout that no claim stands behind: a foreign program wrote it, or what
/// Tieline wrote was lost.
pub(in super::super) async fn a_release_takes_what_lost_its_stamp(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let a = desk.join(A).await;
    done(desk.registry.set("x", A).await);
    assert_eq!(desk.release(&a, "x", 99).await, Released::Done);
    assert_eq!(desk.locate("x").await, None);
    Ok(())
}

pub(in super::super) async fn the_shadow_answers_after_a_deletion(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
    desk.take(&a, "x", 20).await;
    done(desk.registry.delete("x").await);
    desk.assert_at("x", A, 20).await;
    assert_eq!(desk.claim(&b, "x", 10, Fresh).await, taken(A));
    assert_eq!(desk.claim(&a, "x", 20, Held).await, granted());
    let all = desk.everything().await;
    assert_eq!(
        all.get("x").map(|address| &**address),
        Some(A),
        "an audit repairs it"
    );
    done(desk.registry.delete("x").await);
    assert_eq!(desk.release(&a, "x", 20).await, Released::Done);
    assert_eq!(desk.locate("x").await, None);
    Ok(())
}

pub(in super::super) async fn odd_ids_are_ids(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let (a, b) = (desk.join(A).await, desk.join(B).await);
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
    assert_eq!(desk.claim_all(&a, &claims(20)).await, all_granted);
    for name in odd {
        desk.assert_at(name, A, 20).await;
    }
    let mut names = odd.map(super::id);
    names.sort_unstable();
    assert_eq!(desk.held(&a).await, names);
    assert!(
        desk.everything().await.keys().eq(&names),
        "all of them, as they are"
    );
    let all_taken = vec![taken(A); odd.len()];
    assert_eq!(desk.claim_all(&b, &claims(10)).await, all_taken);
    let all_displaced = vec![displacing(A); odd.len()];
    assert_eq!(desk.claim_all(&b, &claims(30)).await, all_displaced);
    for name in odd {
        desk.assert_at(name, B, 30).await;
        assert_eq!(desk.release(&b, name, 30).await, Released::Done);
        assert_eq!(desk.locate(name).await, None, "{name:?}");
        done(desk.registry.set(name, FOREIGN).await);
        let address = done(desk.registry.get(name).await);
        assert_eq!(address.as_deref(), Some(FOREIGN), "{name:?}");
        done(desk.registry.delete(name).await);
    }
    assert!(desk.everything().await.is_empty());
    Ok(())
}

/// Some thousands of operations, by chance and always the same, against a few lines that say the rule.
pub(in super::super) async fn random_operations_follow_the_rule(bench: &dyn Bench) -> Played {
    let desk = Desk::open(bench).await;
    let sessions = [
        desk.join(A).await,
        desk.join(B).await,
        desk.join("c.test:7000").await,
    ];
    let mut rule = random::Rule::default();
    let mut dice = fastrand::Rng::with_seed(7);
    for step in 0..2_000 {
        let name = ["p", "q", "r", "s"][dice.usize(..4)];
        let session = &sessions[dice.usize(..3)];
        let stamp = dice.u64(1..60) + step / 25;
        match dice.u8(..12) {
            0..7 => {
                let kind = [Fresh, Fresh, Held, Exclusive][dice.usize(..4)];
                let verdict = desk.claim(session, name, stamp, kind).await;
                let expected = rule.claim(&session.address, name, stamp, kind);
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
                assert_eq!(desk.release(session, name, stamp).await, Released::Done);
                rule.release(&session.address, name, stamp);
            }
            9 => {
                let address = [A, B, FOREIGN, "go.test:8001"][dice.usize(..4)];
                done(desk.registry.set(name, address).await);
                rule.set(name, address);
            }
            10 => {
                done(desk.registry.delete(name).await);
                rule.delete(name);
            }
            _ => {}
        }
        assert_eq!(
            desk.locate(name).await,
            rule.locate(name),
            "step {step}: {name}"
        );
    }
    for session in &sessions {
        assert_eq!(desk.held(session).await, rule.held(&session.address));
    }
    Ok(())
}
