//! A registry that lost everything, or its last writes.

use super::stage::{NODE_A, NODE_B, Stage, lobby};
use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult, Skipped},
};

/// A user is at A and at B. After a wipe, B enters it and loses it before A has entered it. It must not be told to have
/// gone: it is at A.
pub(crate) async fn second_connection_leaves_after_wipe(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut stage = wiped_while_at_both(harness).await?;
    stage.flush(NODE_B).await;
    stage.disconnect(NODE_B, "ada");
    stage.flush(NODE_B).await;
    stage.catch_up(NODE_A).await;
    stage.converge().await;
    assert!(stage.heard(NODE_A).is_empty(), "{:?}", stage.heard(NODE_A));
    Ok(())
}

/// As before, and A reads the journal while the user is gone from it. Who only settles must wait with removals too.
pub(crate) async fn removal_while_settling(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = wiped_while_at_both(harness).await?;
    stage.read(NODE_A).await;
    stage.flush(NODE_B).await;
    stage.catch_up(NODE_A).await;
    stage.disconnect(NODE_B, "ada");
    stage.flush(NODE_B).await;
    stage.catch_up(NODE_A).await;
    stage.converge().await;
    assert!(stage.heard(NODE_A).is_empty(), "{:?}", stage.heard(NODE_A));
    Ok(())
}

/// A user is at A and at B, and A follows. The registry loses everything, and B begins again.
async fn wiped_while_at_both(harness: &dyn RegistryHarness) -> Result<Stage<'_>, Skipped> {
    let mut stage = Stage::new(harness).await?;
    for node in [NODE_A, NODE_B] {
        stage.connect(node, "ada");
        stage.flush(node).await;
    }
    stage.follow(NODE_A);
    stage.catch_up(NODE_A).await;
    stage.wipe().await?;
    stage.beat(NODE_B).await;
    stage.open(NODE_B).await;
    Ok(stage)
}

/// The registry falls back behind a put that it acknowledged. The next beat must find out.
pub(crate) async fn acknowledged_put_lost(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.follow(NODE_B);
    stage.connect(NODE_A, "ada");
    stage.harness.snapshot().await?;
    stage.round_trip(NODE_A).await;
    stage.harness.restore().await?;
    stage.converge().await;
    assert_eq!(stage.told(NODE_B), ["ada"]);
    Ok(())
}

/// The registry falls back, and then takes another put, so that its number is again that which was acknowledged. The
/// put must be refused.
pub(crate) async fn loss_hidden_by_the_next_put(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.harness.snapshot().await?;
    stage.send(NODE_A);
    stage.execute(NODE_A).await;
    stage.harness.restore().await?;
    stage.deliver(NODE_A);
    stage.connect(NODE_A, "grace");
    stage.round_trip(NODE_A).await;
    stage.converge().await;
    Ok(())
}

/// The registry falls back behind a removal and a second entry of the same user. A begins a new term, and must enter
/// the user there before it ends the old one.
pub(crate) async fn old_term_ended_first(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = fall_back_behind_return(harness).await?;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

/// As before, and it takes A longer than a lease to enter everybody: the old term must be renewed until then.
pub(crate) async fn old_term_runs_out(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = fall_back_behind_return(harness).await?;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.beat(NODE_A).await;
    stage.open(NODE_A).await;
    let step = stage.lease / 6;
    for _ in 0..15 {
        stage.pass(step).await;
        stage.beat(NODE_A).await;
        stage.beat(NODE_B).await;
        stage.tend().await;
    }
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

async fn fall_back_behind_return(harness: &dyn RegistryHarness) -> Result<Stage<'_>, Skipped> {
    let mut stage = Stage::with_long_leases(harness, 6).await?;
    stage.connect(NODE_A, "ada");
    stage.round_trip(NODE_A).await;
    stage.harness.snapshot().await?;
    stage.disconnect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.harness.restore().await?;
    Ok(stage)
}

/// The journal is lost, and another begins. Its reader must notice, and tell nobody to have gone who is entered again.
pub(crate) async fn journal_replaced(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.wipe().await?;
    stage.beat(NODE_A).await;
    stage.open(NODE_A).await;
    stage.connect(NODE_A, "grace");
    stage.flush(NODE_A).await;
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert_eq!(stage.heard(NODE_B), ["+grace"]);
    Ok(())
}

/// The registry falls back, and the journal goes on with other transitions.
pub(crate) async fn journal_forked(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.harness.snapshot().await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.catch_up(NODE_B).await;
    stage.harness.restore().await?;
    stage.connect(NODE_B, "grace");
    stage.flush(NODE_B).await;
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert_eq!(stage.told(NODE_B), ["ada", "grace"]);
    assert!(!stage.heard(NODE_B).contains(&"-ada"));
    Ok(())
}

/// A follower reads the emptied registry before anybody has entered anything again.
pub(crate) async fn wipe_seen_before_reentry(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.wipe().await?;
    stage.beat(NODE_B).await;
    stage.open(NODE_B).await;
    stage.catch_up(NODE_B).await;
    assert_eq!(stage.told(NODE_B), ["ada"]);
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

/// After a wipe, everybody has entered again, and the follower has not read it yet when the time to settle comes.
pub(crate) async fn settled_behind(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    stage.wipe().await?;
    stage.beat(NODE_B).await;
    stage.open(NODE_B).await;
    stage.catch_up(NODE_B).await;
    stage.beat(NODE_A).await;
    stage.open(NODE_A).await;
    stage.flush(NODE_A).await;
    let step = stage.lease / 6;
    for _ in 0..15 {
        stage.pass(step).await;
        stage.beat(NODE_A).await;
        stage.beat(NODE_B).await;
    }
    stage.settle(NODE_B).await;
    assert_eq!(stage.told(NODE_B), ["ada"]);
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

/// Entering everybody again takes longer than a lease: the registry must hold until it is done.
pub(crate) async fn reentry_longer_than_hold(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::with_long_leases(harness, 6).await?;
    for number in 0..12 {
        stage.connect(NODE_A, &format!("user {number}"));
    }
    stage.flush(NODE_A).await;
    stage.wipe().await?;
    stage.beat(NODE_A).await;
    stage.open(NODE_A).await;
    let step = stage.lease / 10;
    for _ in 0..12 {
        let now = stage.now;
        let put = stage.nodes[NODE_A].table.next_put(now, 1);
        let put = put.expect("somebody is left to enter again");
        assert_eq!(put.items.len(), 1, "one at a time");
        let term = stage.nodes[NODE_A].table.term().cloned();
        let term = term.expect("A has a term");
        let reply = expect_reply(stage.rosters().put(&term, &put).await);
        stage.nodes[NODE_A].table.on_reply(Some(reply), now);
        let reply = expect_reply(stage.rosters().beat(&term).await);
        let tieline_registry::BeatReply::Renewed(pulse) = reply else {
            panic!("the term lives");
        };
        let holds = !pulse.hold.is_zero();
        // Without a hold, there is nothing to prolong.
        if !holds && stage.members(&lobby()).await.len() == 1 {
            break;
        }
        assert!(holds, "the registry must hold while somebody enters again");
        stage.pass(step).await;
    }
    stage.converge().await;
    Ok(())
}
