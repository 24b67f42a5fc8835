//! The contract of each method, without nodes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tieline_registry::{
    BeatReply, Cursor, ItemOutcome, JournalEntry, JournalReply, MAX_INFO, MAX_NAME, MAX_PUT,
    OpenReply, Position, Put, PutItem, PutOp, PutReply, Registry, RosterKind, RosterName, Rosters,
    Term, TransitionKind,
};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult, Skipped},
};

/// A term, and what its puts need.
struct Writer {
    registry: Arc<dyn Registry>,
    term: Term,
    number: u64,
    stands: u64,
    begin: Position,
}

impl Writer {
    async fn new(harness: &dyn RegistryHarness) -> Result<Self, Skipped> {
        Self::on(harness.registry().await).await
    }

    async fn on(registry: Arc<dyn Registry>) -> Result<Self, Skipped> {
        if registry.rosters().is_none() {
            return Err(Skipped::new("the registry has no rosters"));
        }
        let term = Term::new(Duration::from_mins(2), Duration::ZERO);
        let rosters = registry.rosters().expect("it was checked");
        let opened = expect_reply(rosters.open(&term).await);
        let OpenReply::Opened { stands, tail } = opened else {
            panic!("a term with a new name is over before it begins");
        };
        Ok(Self {
            registry,
            term,
            number: stands,
            stands,
            begin: tail,
        })
    }

    fn rosters(&self) -> &dyn Rosters {
        self.registry.rosters().expect("it was checked")
    }

    async fn put_with(&mut self, limit: Option<u32>, items: Vec<PutItem>) -> Vec<ItemOutcome> {
        self.number += 1;
        let put = Put {
            number: self.number,
            acknowledged: self.stands,
            limit,
            items,
        };
        match expect_reply(self.rosters().put(&self.term, &put).await) {
            PutReply::Done { stands, outcomes } => {
                (self.stands, self.number) = (stands, self.number.max(stands));
                outcomes
            }
            other => panic!("the put is the next one of a term that lives: {other:?}"),
        }
    }

    async fn put(&mut self, op: PutOp, user: &str, info: &str) {
        let outcomes = self.put_with(None, vec![item(op, user, info)]).await;
        assert_eq!(outcomes, [ItemOutcome::Done]);
    }

    /// What the journal tells of the lobby since this term began.
    async fn journal(&self) -> Vec<JournalEntry> {
        let (mut all, mut at) = (Vec::new(), self.begin.clone());
        loop {
            let reply = expect_reply(self.rosters().read(&at).await);
            let JournalReply::Entries { entries, reached } = reply else {
                panic!("nothing has happened to the journal");
            };
            let Some(last) = entries.last() else {
                return all;
            };
            let is_read = reached.has_reached(&last.position);
            assert!(is_read, "{reached:?} is not beyond {last:?}");
            at = reached;
            all.extend(entries);
        }
    }

    async fn told(&self) -> Vec<String> {
        let journal = self.journal().await.into_iter();
        let told = journal.map(|entry| {
            let sign = match entry.kind {
                TransitionKind::Joined => '+',
                TransitionKind::Left => '-',
                TransitionKind::Changed => '~',
            };
            format!("{sign}{}:{}:{}", entry.user, entry.info, entry.count)
        });
        told.collect()
    }
}

fn lobby() -> RosterName {
    RosterName::new(RosterKind::Members, "lobby")
}

fn item(op: PutOp, user: &str, info: &str) -> PutItem {
    PutItem {
        op,
        roster: lobby(),
        user: user.into(),
        info: info.into(),
    }
}

/// First in and last out over all terms, and the information that came last.
pub(crate) async fn a_roster_is_told_first_in_last_out(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut first = Writer::new(harness).await?;
    let mut second = Writer::on(Arc::clone(&first.registry)).await?;
    first.put(PutOp::Enter, "ada", "1").await;
    second.put(PutOp::Enter, "ada", "1").await;
    second.put(PutOp::Enter, "grace", "x").await;
    first.put(PutOp::Enter, "ada", "2").await;
    first.put(PutOp::Reenter, "ada", "3").await;
    first.put(PutOp::Leave, "ada", "").await;
    let mut told = first.told().await;
    // Where information goes with its term, what the other one said is left.
    let has_gone = told.pop_if(|last| last == "~ada:1:2").is_some();
    assert_eq!(
        told,
        ["+ada:1:1", "+grace:x:2", "~ada:2:2"],
        "ada is there under the second term"
    );
    let reply = expect_reply(first.rosters().roster(&lobby(), 10).await);
    let members = reply.members.expect("there are fewer than ten");
    let members: BTreeSet<_> = members
        .into_iter()
        .map(|member| format!("{}:{}", member.user, member.info))
        .collect();
    let ada = if has_gone { "ada:1" } else { "ada:2" };
    assert_eq!(members, [ada, "grace:x"].map(str::to_owned).into());
    first.begin = reply.tail;
    assert!(first.told().await.is_empty(), "the roster has it already");
    let more = expect_reply(first.rosters().roster(&lobby(), 1).await);
    assert_eq!((more.count, more.members), (2, None));
    Ok(())
}

/// Who says nothing of a user leaves what others have said, and who is entered again says it if nobody has.
pub(crate) async fn nothing_replaces_something(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut first = Writer::new(harness).await?;
    let mut second = Writer::on(Arc::clone(&first.registry)).await?;
    first.put(PutOp::Enter, "ada", "1").await;
    second.put(PutOp::Enter, "ada", "").await;
    first.put(PutOp::Enter, "ada", "").await;
    second.put(PutOp::Reenter, "ada", "").await;
    // As after a loss: who says nothing is there first.
    second.put(PutOp::Reenter, "joan", "").await;
    first.put(PutOp::Reenter, "joan", "2").await;
    let told = first.told().await;
    assert_eq!(told, ["+ada:1:1", "+joan::2", "~joan:2:2"]);
    let reply = expect_reply(first.rosters().roster(&lobby(), 10).await);
    let members = reply.members.expect("there are fewer than ten");
    let known = members.iter().map(|one| (&*one.user, &*one.info));
    let known: BTreeSet<_> = known.collect();
    assert_eq!(known, [("ada", "1"), ("joan", "2")].into());
    Ok(())
}

/// A roster that is full takes nobody who is new, and everybody who is entered again.
pub(crate) async fn full(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut writer = Writer::new(harness).await?;
    let limit = Some(2);
    for user in ["ada", "grace"] {
        let outcomes = writer
            .put_with(limit, vec![item(PutOp::Enter, user, "")])
            .await;
        assert_eq!(outcomes, [ItemOutcome::Done], "{user}");
    }
    let items = vec![
        item(PutOp::Enter, "ada", "again"),
        item(PutOp::Enter, "joan", ""),
        item(PutOp::Reenter, "mary", ""),
    ];
    let outcomes = writer.put_with(limit, items).await;
    assert_eq!(
        outcomes,
        [ItemOutcome::Done, ItemOutcome::Full, ItemOutcome::Done]
    );
    let outcomes = writer
        .put_with(limit, vec![item(PutOp::Enter, "joan", "")])
        .await;
    assert_eq!(
        outcomes,
        [ItemOutcome::Full],
        "one who asks again is told again"
    );
    assert_eq!(
        writer.told().await,
        ["+ada::1", "+grace::2", "~ada:again:2", "+mary::3"]
    );
    Ok(())
}

/// Who comes, goes, is there under another term and is entered again, in one put.
pub(crate) async fn a_put_of_all_kinds(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut first = Writer::new(harness).await?;
    let mut second = Writer::on(Arc::clone(&first.registry)).await?;
    for user in ["ada", "grace"] {
        first.put(PutOp::Enter, user, "1").await;
        second.put(PutOp::Enter, user, "1").await;
    }
    let items = vec![
        item(PutOp::Enter, "joan", "1"),
        item(PutOp::Leave, "ada", ""),
        item(PutOp::Enter, "kay", "1"),
        item(PutOp::Reenter, "grace", "1"),
        item(PutOp::Reenter, "mary", "1"),
    ];
    let outcomes = first.put_with(None, items).await;
    assert_eq!(outcomes, [ItemOutcome::Done; 5]);
    let expected = BTreeSet::from(["ada", "grace", "joan", "kay", "mary"]);
    let journal = first.journal().await;
    assert!(
        journal
            .iter()
            .all(|entry| entry.kind == TransitionKind::Joined)
    );
    assert_eq!(journal.len(), expected.len(), "nobody joins twice");
    let reply = expect_reply(first.rosters().roster(&lobby(), 10).await);
    let members = reply.members.expect("there are fewer than ten");
    let members: BTreeSet<_> = members.iter().map(|member| &*member.user).collect();
    assert_eq!(members, expected);
    let BeatReply::Renewed(pulse) = expect_reply(first.rosters().beat(&first.term).await) else {
        panic!("the term lives");
    };
    // Where they are counted: joan, kay, grace and mary.
    assert_eq!(pulse.entries.unwrap_or(4), 4);
    Ok(())
}

/// Puts of the largest size, in one call each.
pub(crate) async fn large_puts_are_one_call(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut writer = Writer::new(harness).await?;
    let info = "i".repeat(MAX_INFO);
    let name = |number: usize| format!("{number:04}{}", "u".repeat(MAX_NAME - 4));
    let items = (0..MAX_PUT).map(|number| item(PutOp::Enter, &name(number), &info));
    let outcomes = writer.put_with(None, items.collect()).await;
    assert_eq!(outcomes.len(), MAX_PUT);
    assert!(outcomes.iter().all(|outcome| *outcome == ItemOutcome::Done));
    assert_eq!(writer.journal().await.len(), MAX_PUT);
    let reply = expect_reply(writer.rosters().roster(&lobby(), MAX_PUT).await);
    let members = reply.members.expect("all were asked for");
    assert_eq!(members.len(), MAX_PUT);
    assert!(members.iter().all(|member| *member.info == *info));
    Ok(())
}

/// Rosters of the same group but another kind or namespace are others, whatever the names contain.
pub(crate) async fn unusual_rosters_work(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut writer = Writer::new(harness).await?;
    let keys = [
        "lobby",
        "\0chat\0lobby",
        "\0chat\0lob/by:1",
        "ü \u{1F600}",
        "7:plobby",
    ];
    let kinds = [
        RosterKind::Members,
        RosterKind::Occupancy,
        RosterKind::Online,
    ];
    let all = || {
        kinds
            .into_iter()
            .flat_map(|kind| keys.map(|key| RosterName::new(kind, key)))
    };
    let users = ["", "a b", "\u{1F600}", "1 x", "x\0y"];
    let mut items = Vec::new();
    for roster in all() {
        for user in users {
            let roster = roster.clone();
            let info = format!("{user} in {roster:?}").into();
            let (op, user) = (PutOp::Enter, user.into());
            items.push(PutItem {
                op,
                roster,
                user,
                info,
            });
        }
    }
    writer.put_with(None, items).await;
    for roster in all() {
        let reply = expect_reply(writer.rosters().roster(&roster, 10).await);
        let members = reply.members.expect("there are five");
        let found: BTreeSet<_> = members.iter().map(|member| &*member.user).collect();
        assert_eq!(found, users.into(), "{roster:?}");
        let is_right = |info: &str, user: &str| info == format!("{user} in {roster:?}");
        assert!(members.iter().all(|one| is_right(&one.info, &one.user)));
    }
    for kind in kinds {
        let mut listed = BTreeSet::new();
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = expect_reply(writer.rosters().rosters(kind, cursor).await);
            listed.extend(page.items);
            from = page.next;
        }
        let expected: BTreeSet<_> = all().filter(|roster| roster.kind() == kind).collect();
        assert_eq!(listed, expected);
    }
    Ok(())
}
