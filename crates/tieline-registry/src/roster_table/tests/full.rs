//! Random connections of a few users, at a roster that is often full, against a simple model: a connection counts from
//! its enter to its exit, or until it is told that the roster is full.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    BeatReply, Duration, ItemOutcome, LATER, NOW, Put, PutOp, PutReply, RosterTable, Verdict,
    lobby, open, pulse,
};

const USERS: [&str; 3] = ["ada", "grace", "joan"];
const LIMIT: u32 = 2;

/// What a connection was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It waits.
    Nothing,
    /// It waits no longer.
    Pending,
    Entered,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter(usize, bool),
    /// The first connection of a user that waits does so no longer.
    GiveUp(usize),
    /// A connection of a user leaves, whichever it is; the entry may stay for a while.
    Exit(usize, usize, bool),
    /// One that was told that the roster is full has not heard it.
    Unheard,
    Send,
    /// The reply to the put arrives, or does not; whether the put was executed.
    Answer(bool, bool),
    /// The term is lost, or only its writes are, as the next reply says or a beat.
    Lose {
        writes: bool,
        by_beat: bool,
    },
    Open,
    /// So many places are taken by users of other nodes.
    Others(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0..USERS.len();
    let step = prop_oneof![
        4 => (user.clone(), any::<bool>()).prop_map(|(user, says)| Step::Enter(user, says)),
        2 => user.clone().prop_map(Step::GiveUp),
        3 => (user, any::<usize>(), any::<bool>()).prop_map(|(user, which, late)| Step::Exit(user, which, late)),
        1 => Just(Step::Unheard),
        5 => Just(Step::Send),
        5 => prop_oneof![4 => Just((true, true)), 1 => Just((false, true)), 1 => Just((false, false))]
            .prop_map(|(arrives, executed)| Step::Answer(arrives, executed)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(writes, by_beat)| Step::Lose { writes, by_beat }),
        2 => Just(Step::Open),
        2 => (0..=LIMIT as usize).prop_map(Step::Others),
    ];
    prop::collection::vec(step, 0..80)
}

/// A node, its connections, and a registry.
#[derive(Default)]
struct Stage {
    now: Duration,
    table: RosterTable,
    /// Those that count, with their users.
    connections: Vec<(usize, Told)>,
    /// The users of those that were refused.
    refused: Vec<usize>,
    said: usize,
    sent: Option<Put>,
    /// Users in the roster under the term, and under the old one.
    entries: BTreeSet<String>,
    old: BTreeSet<String>,
    others: usize,
}

impl Stage {
    fn new() -> Self {
        let table = RosterTable::new(Some(LIMIT));
        Self {
            table,
            now: NOW,
            ..Self::default()
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Enter(user, says) => self.enter(user, says),
            Step::GiveUp(user) => {
                let mut all = self.connections.iter_mut();
                if let Some(waits) = all.find(|one| **one == (user, Told::Nothing)) {
                    waits.1 = Told::Pending;
                }
            }
            Step::Exit(user, which, late) => self.exit(user, which, late),
            Step::Unheard => {
                if let Some(user) = self.refused.pop() {
                    self.connections.push((user, Told::Pending));
                    self.table.keep_refused(&lobby(), USERS[user]);
                }
            }
            Step::Send => self.send(),
            Step::Answer(arrives, executed) => {
                if let Some(put) = self.sent.take() {
                    let reply = executed.then(|| self.execute(&put));
                    self.answer(reply.filter(|_| arrives));
                }
            }
            Step::Lose { writes, by_beat } => self.lose(writes, by_beat),
            Step::Open if self.table.term().is_none() => open(&mut self.table),
            Step::Open => {}
            Step::Others(others) => self.others = others,
        }
    }

    fn enter(&mut self, user: usize, says: bool) {
        self.said += 1;
        let info = if says {
            self.said.to_string()
        } else {
            String::new()
        };
        let stands = self.table.enter(&lobby(), USERS[user], &info);
        let told = if stands { Told::Entered } else { Told::Nothing };
        self.connections.push((user, told));
    }

    fn exit(&mut self, user: usize, which: usize, late: bool) {
        let own = self.connections.iter().enumerate();
        let own: Vec<_> = own
            .filter(|(_, one)| one.0 == user)
            .map(|(at, _)| at)
            .collect();
        if !own.is_empty() {
            self.connections.remove(own[which % own.len()]);
            let due = if late { LATER } else { NOW };
            self.table.exit(&lobby(), USERS[user], due);
        }
    }

    fn send(&mut self) {
        if self.sent.is_none() {
            self.sent = self.table.next_put(self.now, usize::MAX);
        }
    }

    /// What the registry does.
    fn execute(&mut self, put: &Put) -> PutReply {
        let outcomes = put.items.iter().map(|item| {
            let user = item.user.to_string();
            let is_in = self.entries.contains(&user) || self.old.contains(&user);
            let members = self.entries.union(&self.old).count() + self.others;
            let is_full = put.limit.is_some_and(|limit| members >= limit as usize);
            match item.op {
                PutOp::Enter if !is_in && is_full => return ItemOutcome::Full,
                PutOp::Enter | PutOp::Reenter => self.entries.insert(user),
                PutOp::Leave => self.entries.remove(&user),
            };
            ItemOutcome::Done
        });
        let outcomes = outcomes.collect();
        PutReply::Done {
            stands: put.number,
            outcomes,
        }
    }

    /// What a node does with a reply, under one lock.
    fn answer(&mut self, reply: Option<PutReply>) {
        for settled in self.table.on_reply(reply, self.now) {
            let waits = |one: &(usize, Told)| *one == (user_of(&settled.user), Told::Nothing);
            if settled.verdict == Verdict::Entered {
                let told = self.connections.iter_mut().filter(|one| waits(one));
                told.for_each(|one| one.1 = Told::Entered);
                continue;
            }
            let before = self.connections.len();
            self.connections.retain(|one| !waits(one));
            for _ in self.connections.len()..before {
                self.table.exit(&lobby(), &settled.user, Duration::ZERO);
                self.refused.push(user_of(&settled.user));
            }
        }
    }

    fn lose(&mut self, writes: bool, by_beat: bool) {
        if self.table.term().is_none() || (!by_beat && self.sent.is_none()) {
            return;
        }
        match (writes, by_beat) {
            (false, true) => self.table.on_beat(&BeatReply::Lost, self.now),
            (false, false) => self.answer(Some(PutReply::Lost)),
            (true, false) => self.answer(Some(PutReply::Loss)),
            (true, true) => self.table.on_beat(&pulse(0, Duration::ZERO), self.now),
        }
        if self.table.term().is_some() {
            // Nothing has been acknowledged that could be lost.
            return;
        }
        self.sent = None;
        let entries = std::mem::take(&mut self.entries).into_iter();
        // Of what was written last, nothing is left, and the old term stays.
        self.old = entries.take(usize::from(writes)).collect();
    }

    /// The registry answers until there is nothing to put.
    fn settle(&mut self) {
        if self.table.term().is_none() {
            open(&mut self.table);
        }
        for round in 0.. {
            assert!(round < 100, "it puts for ever");
            self.send();
            let Some(put) = self.sent.take() else {
                break;
            };
            let reply = self.execute(&put);
            self.answer(Some(reply));
        }
        if self.table.take_ended().is_some() {
            self.old.clear();
        }
    }

    fn count(&self, user: usize, told: impl Fn(Told) -> bool) -> u32 {
        let own = self
            .connections
            .iter()
            .filter(|one| one.0 == user && told(one.1));
        u32::try_from(own.count()).unwrap()
    }
}

fn user_of(name: &str) -> usize {
    USERS.iter().position(|user| *user == name).unwrap()
}

proptest! {
    #[test]
    fn connections_count_until_they_exit_or_are_refused(steps in steps()) {
        let mut stage = Stage::new();
        for step in steps {
            stage.take(step);
            for (at, user) in USERS.into_iter().enumerate() {
                let counted = stage.table.connections(&lobby(), user);
                prop_assert_eq!(counted, stage.count(at, |_| true), "{} after {:?}", user, step);
            }
        }
        stage.settle();
        prop_assert!(stage.table.old_term().is_none(), "everybody is entered, or refused");
        for (at, user) in USERS.into_iter().enumerate() {
            prop_assert_eq!(stage.count(at, |told| told == Told::Nothing), 0, "{} is told", user);
            if stage.count(at, |told| told == Told::Entered) > 0 {
                prop_assert!(stage.entries.contains(user), "{} was let in", user);
            }
            while stage.count(at, |_| true) > 0 {
                stage.exit(at, 0, false);
            }
        }
        // Also of those who stay for a while.
        stage.now = LATER;
        stage.settle();
        prop_assert!(stage.table.is_empty() && stage.entries.is_empty());
    }
}
