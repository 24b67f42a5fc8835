//! Random operations, compared with the reference model.

use ClaimKind::{Exclusive, Fresh, Held};
use tieline_registry::{ClaimKind, DEFAULT_NAMESPACE, ReleaseOutcome, Verdict};

use super::{
    fixture::{ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, Fixture},
    reference::ReferenceModel,
};
use crate::{
    expect::{client_id, expect_reply},
    harness::{RegistryHarness, ScenarioResult},
};

/// 3,000 random operations of three nodes and a foreign program, with a fixed seed. After each, the
/// registry must agree with the reference model.
pub(crate) async fn random_operations_match_the_reference_model(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let sessions = [
        fixture.join(ADDRESS_A).await,
        fixture.join(ADDRESS_B).await,
        fixture.join("c.test:7000").await,
    ];
    let mut model = ReferenceModel::default();
    let mut rng = fastrand::Rng::with_seed(7);
    for step in 0..3_000 {
        let name = ["p", "q", "r", "s", "\0chat\0p", "\0game\0p"][rng.usize(..6)];
        let is_shared = client_id(name).namespace() == DEFAULT_NAMESPACE;
        let session = &sessions[rng.usize(..3)];
        let stamp = rng.u64(1..60) + step / 25;
        match rng.u8(..12) {
            0..7 => {
                let kind = [Fresh, Fresh, Held, Exclusive][rng.usize(..4)];
                let verdict = fixture.claim(session, name, stamp, kind).await;
                let expected = model.claim(&session.address, name, stamp, kind);
                assert!(
                    agrees(kind, &verdict, &expected),
                    "step {step}: {kind:?} claim of {name:?} with stamp {stamp}: \
                     {verdict:?}, but the model says {expected:?}"
                );
            }
            7..9 => {
                assert_eq!(
                    fixture.release(session, name, stamp).await,
                    ReleaseOutcome::Done
                );
                model.release(&session.address, name, stamp);
            }
            9 if is_shared => {
                let address =
                    [ADDRESS_A, ADDRESS_B, FOREIGN_ADDRESS, "go.test:8001"][rng.usize(..4)];
                expect_reply(fixture.registry.set(name, address).await);
                model.set(name, address);
            }
            10 if is_shared => {
                expect_reply(fixture.registry.delete(name).await);
                model.delete(name);
            }
            _ => {}
        }
        assert_eq!(
            fixture.locate(name).await,
            model.locate(name),
            "step {step}: `locate` of {name:?} (left) differs from the model (right)"
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

/// A node and a foreign program may both prevent an exclusive claim; a verdict may name either.
fn agrees(kind: ClaimKind, verdict: &Verdict, expected: &Verdict) -> bool {
    let granted = |verdict: &Verdict| matches!(verdict, Verdict::Granted { .. });
    verdict == expected || kind == Exclusive && !granted(verdict) && !granted(expected)
}
