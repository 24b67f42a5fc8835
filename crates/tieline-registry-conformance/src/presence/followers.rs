//! Followers that begin, read in pages, or are far behind.

use tieline_registry::{HookReply, JournalReply, Position, RosterKind, RosterName, TransitionKind};

use super::stage::{NODE_A, NODE_B, Stage};
use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult, Skipped},
};

/// More members than a page has.
const MANY: usize = 2_500;

async fn crowd(harness: &dyn RegistryHarness) -> Result<Stage<'_>, Skipped> {
    let mut stage = Stage::with_long_leases(harness, 6).await?;
    stage.most = 0;
    for number in 0..MANY {
        stage.connect(NODE_A, &format!("user {number}"));
    }
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    Ok(stage)
}

/// Members come and go between two pages.
pub(crate) async fn pages_of_two_times(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = crowd(harness).await?;
    for number in 0.. {
        stage.fetch(NODE_B).await;
        if stage.nodes[NODE_B].view.next_fetch().is_none() {
            break;
        }
        // Some are on the page that was read, others on one that is not.
        for user in (number..MANY).step_by(250) {
            stage.disconnect(NODE_A, &format!("user {user}"));
            stage.connect(NODE_A, &format!("late {number} {user}"));
        }
        stage.flush(NODE_A).await;
        stage.read(NODE_B).await;
    }
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert_eq!(stage.told(NODE_B).len(), MANY);
    Ok(())
}

/// The registry falls back between two pages, so that they are of two journals.
pub(crate) async fn page_of_a_lost_journal(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = crowd(harness).await?;
    stage.harness.snapshot().await?;
    stage.connect(NODE_A, "ada");
    stage.fetch(NODE_B).await;
    stage.flush(NODE_A).await;
    stage.fetch(NODE_B).await;
    stage.harness.restore().await?;
    stage.disconnect(NODE_A, "ada");
    while stage.nodes[NODE_B].view.next_fetch().is_some() {
        stage.fetch(NODE_B).await;
    }
    stage.read(NODE_B).await;
    stage.converge().await;
    Ok(())
}

/// A node that follows one roster begins to follow another, whose snapshot is ahead of the node's reader.
pub(crate) async fn followed_ahead_of_the_reader(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    let hall = RosterName::new(RosterKind::Members, "hall");
    stage.nodes[NODE_B].view.follow(&hall);
    stage.catch_up(NODE_B).await;
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.follow(NODE_B);
    stage.fetch(NODE_B).await;
    assert!(
        stage.told(NODE_B).is_empty(),
        "I3: the reader has not met the snapshot"
    );
    stage.catch_up(NODE_B).await;
    assert_eq!(stage.told(NODE_B), ["ada"]);
    stage.converge().await;
    assert!(stage.heard(NODE_B).is_empty(), "{:?}", stage.heard(NODE_B));
    Ok(())
}

/// More transitions than the journal keeps. A follower that slept must get all of them, or be told that it cannot.
pub(crate) async fn journal_trimmed(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::with_long_leases(harness, 6).await?;
    stage.follow(NODE_B);
    stage.catch_up(NODE_B).await;
    let users: Vec<_> = (0..512).map(|number| format!("user {number}")).collect();
    for round in 0..130 {
        for user in &users {
            match round % 2 {
                0 => stage.connect(NODE_A, user),
                _ => stage.disconnect(NODE_A, user),
            }
        }
        stage.flush(NODE_A).await;
        stage.beat(NODE_A).await;
        stage.beat(NODE_B).await;
    }
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    stage.catch_up(NODE_B).await;
    stage.converge().await;
    assert_eq!(stage.told(NODE_B), ["ada"]);
    Ok(())
}

/// The dispatcher posts a transition, and crashes before it says how far it has come. The next one must post it.
pub(crate) async fn moved_then_posted(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut stage = Stage::new(harness).await?;
    let term = |stage: &Stage<'_>, node: usize| {
        let term = stage.nodes[node].table.term().cloned();
        term.expect("the node has a term")
    };
    let (term_a, term_b) = (term(&stage, NODE_A), term(&stage, NODE_B));
    let hook = expect_reply(stage.rosters().hook(&term_a, None).await);
    let HookReply::Reset(first) = hook else {
        panic!("nobody has dispatched anything yet: {hook:?}");
    };
    let busy = expect_reply(stage.rosters().hook(&term_b, None).await);
    assert_eq!(busy, HookReply::Busy, "A has the place");
    stage.connect(NODE_A, "ada");
    stage.flush(NODE_A).await;
    let ada = next(&stage, &first).await;
    let moved = expect_reply(stage.rosters().hook(&term_a, Some(&ada)).await);
    assert_eq!(moved, HookReply::Held(ada.clone()));
    stage.connect(NODE_A, "grace");
    stage.flush(NODE_A).await;
    stage.crash(NODE_A);
    stage.expire_all_but(NODE_B).await;
    stage.bury(NODE_B).await;
    let late = expect_reply(stage.rosters().hook(&term_a, Some(&ada)).await);
    assert_eq!(late, HookReply::Lost, "A's term is over");
    let hook = expect_reply(stage.rosters().hook(&term_b, None).await);
    assert_eq!(hook, HookReply::Held(ada.clone()), "B goes on where A was");
    next(&stage, &ada).await;
    stage.converge().await;
    Ok(())
}

/// The position of the next transition, at which somebody joins.
async fn next(stage: &Stage<'_>, after: &Position) -> Position {
    let reply = expect_reply(stage.rosters().read(after).await);
    let JournalReply::Entries { entries, .. } = reply else {
        panic!("nothing has happened to the journal");
    };
    let first = entries.first().expect("somebody has joined");
    assert_eq!(first.kind, TransitionKind::Joined);
    first.position.clone()
}
