//! Terms that end, puts that are late, and a registry that stood still.

use std::time::Duration;

use tieline_registry::{PutReply, TendReply};

use super::stage::{NODE_A, NODE_B, Stage, lobby};
use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
};

/// B removes its user, and crashes before it hears of it. Whoever follows must be told: by the journal, since B can
/// tell nobody.
pub(crate) async fn caller_tells(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.follow(NODE_A);
    stage.connect(NODE_B, "ada");
    stage.round_trip(NODE_B).await;
    stage.catch_up(NODE_A).await;
    assert_eq!(stage.told(NODE_A), ["ada"]);
    stage.disconnect(NODE_B, "ada");
    stage.send(NODE_B);
    stage.execute(NODE_B).await;
    stage.crash(NODE_B);
    stage.converge().await;
    assert!(stage.told(NODE_A).is_empty());
    Ok(())
}

/// A enters its user; the put is late. The user leaves, and that put executes first. The late one must do nothing.
pub(crate) async fn late_put_after_leave(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.send(NODE_A);
    stage.disconnect(NODE_A, "ada");
    let late = stage.time_out(NODE_A);
    stage.flush(NODE_A).await;
    let reply = stage.execute_request(&late).await;
    assert!(
        matches!(reply, PutReply::Stale { .. }),
        "a late put must not be carried out: {reply:?}"
    );
    stage.converge().await;
    Ok(())
}

/// A is cut off until its term has run out. Its put executes in the moment before the term is ended. What it entered
/// must go with the term, and A, in a new term, must not take it for its own.
pub(crate) async fn term_opened_again(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.expire_all_but(NODE_B).await;
    stage.send(NODE_A);
    stage.disconnect(NODE_A, "ada");
    stage.execute(NODE_A).await;
    stage.bury(NODE_B).await;
    stage.beat(NODE_A).await;
    stage.open(NODE_A).await;
    stage.converge().await;
    Ok(())
}

/// A's term runs out with more entries than are removed at once. It beats between two chunks: the term must be over.
pub(crate) async fn beat_between_chunks(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::with_long_leases(harness, 4).await?;
    stage.follow(NODE_B);
    for number in 0..600 {
        stage.connect(NODE_A, &format!("user {number}"));
    }
    stage.flush(NODE_A).await;
    stage.pause(NODE_A);
    stage.forgive();
    stage.expire_all_but(NODE_B).await;
    stage.bury(NODE_B).await;
    stage.wake_up(NODE_A);
    stage.beat(NODE_A).await;
    assert!(
        stage.nodes[NODE_A].table.term().is_none(),
        "a term must not live again once its entries are being removed"
    );
    stage.converge().await;
    assert_eq!(stage.told(NODE_B).len(), 600);
    Ok(())
}

/// The registry stands still until all leases have run out. Whoever tends first must remove nobody.
pub(crate) async fn registry_stood_still(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    let stood = stage.stand_still().await;
    let tended = stage.tend().await;
    if stood {
        assert!(
            matches!(tended, TendReply::Held(_)),
            "I4: a registry that stood still must hold: {tended:?}"
        );
    }
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    if stood {
        assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    }
    Ok(())
}

/// The registry stands still while a user moves from A to B. When it is back, A's removal comes before B's entry. The
/// user must not be told to have gone.
pub(crate) async fn outage_then_move(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.disconnect(NODE_A, "ada");
    stage.connect(NODE_B, "ada");
    let stood = stage.stand_still().await;
    let terms = stage.terms();
    stage.flush(NODE_A).await;
    stage.catch_up(NODE_B).await;
    stage.beat(NODE_B).await;
    if stage.nodes[NODE_B].table.term().is_some() {
        stage.flush(NODE_B).await;
    }
    stage.converge().await;
    // A clock of the registry's own may end leases a moment after it has begun to answer again.
    if stood && stage.terms() == terms {
        assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    }
    Ok(())
}

/// A drains: its term ends after a grace. Its user comes back at B within it. Nothing must be told.
pub(crate) async fn drain_and_return(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    let term = stage.nodes[NODE_A].table.term().cloned();
    let term = term.expect("A has a term");
    expect_reply(stage.rosters().end(&term, stage.lease).await);
    stage.crash(NODE_A);
    stage.tend().await;
    stage.catch_up(NODE_B).await;
    stage.connect(NODE_B, "ada");
    stage.flush(NODE_B).await;
    stage.expire_all_but(NODE_B).await;
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

/// A crashes for good. Its users must be told to have gone, once each, and those who are at B too must stay.
pub(crate) async fn crash_is_told(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    for user in ["ada", "grace"] {
        stage.connect(NODE_A, user);
    }
    stage.connect(NODE_B, "grace");
    stage.flush(NODE_A).await;
    stage.flush(NODE_B).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.crash(NODE_A);
    stage.converge().await;
    assert_eq!(stage.heard(NODE_B), ["-ada"]);
    let left = expect_reply(stage.rosters().roster(&lobby(), 1).await);
    assert_eq!(left.count, 1);
    Ok(())
}

/// A term that is ended takes no put and no beat, and its entries go.
pub(crate) async fn an_ended_term_is_over(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    let term = stage.nodes[NODE_A].table.term().cloned();
    let term = term.expect("A has a term");
    expect_reply(stage.rosters().end(&term, Duration::ZERO).await);
    stage.connect(NODE_A, "grace");
    stage.send(NODE_A);
    stage.execute(NODE_A).await;
    let reply = stage.nodes[NODE_A].put.as_ref();
    let reply = reply.and_then(|(_, reply)| reply.clone());
    assert_eq!(reply, Some(PutReply::Lost), "the term is over");
    stage.forgive();
    stage.deliver(NODE_A);
    stage.converge().await;
    Ok(())
}
