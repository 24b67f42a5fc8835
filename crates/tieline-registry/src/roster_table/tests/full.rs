//! Random connections of a few users, at a roster that is often full, against a simple model: a connection counts from
//! its enter to its exit, or until it is told that the roster is full; and it is told so only if it was full by the
//! connection's own limit, when that was there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    BeatReply, Duration, ItemOutcome, LATER, NOW, Put, PutOp, PutReply, RosterTable, Verdict,
    lobby, open, pulse,
};

const USERS: [&str; 3] = ["ada", "grace", "joan"];
/// What connections come with.
const LIMITS: [Option<u32>; 4] = [Some(1), Some(2), Some(3), None];
const MOST: usize = 3;

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
    Enter(usize, bool, Option<u32>),
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
    /// Whether the registry lets nobody go.
    Hold(bool),
    /// A beat is answered.
    Beat,
    /// So many places are taken by users of other nodes.
    Others(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0..USERS.len();
    let step = prop_oneof![
        4 => (user.clone(), any::<bool>(), prop::sample::select(&LIMITS[..]))
            .prop_map(|(user, says, limit)| Step::Enter(user, says, limit)),
        2 => user.clone().prop_map(Step::GiveUp),
        3 => (user, any::<usize>(), any::<bool>()).prop_map(|(user, which, late)| Step::Exit(user, which, late)),
        1 => Just(Step::Unheard),
        5 => Just(Step::Send),
        5 => prop_oneof![4 => Just((true, true)), 1 => Just((false, true)), 1 => Just((false, false))]
            .prop_map(|(arrives, executed)| Step::Answer(arrives, executed)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(writes, by_beat)| Step::Lose { writes, by_beat }),
        2 => Just(Step::Open),
        1 => any::<bool>().prop_map(Step::Hold),
        1 => Just(Step::Beat),
        2 => (0..=MOST).prop_map(Step::Others),
    ];
    prop::collection::vec(step, 0..80)
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    user: usize,
    told: Told,
    limit: Option<u32>,
}

impl Connection {
    fn waits(&self, user: usize) -> bool {
        self.user == user && self.told == Told::Nothing
    }
}

/// A node, its connections, and a registry.
#[derive(Default)]
struct Stage {
    now: Duration,
    table: RosterTable,
    /// Those that count.
    connections: Vec<Connection>,
    /// Those that were refused.
    refused: Vec<Connection>,
    said: usize,
    sent: Option<Put>,
    /// The limits of the connections of each user that have come since there was none.
    came: [Vec<Option<u32>>; USERS.len()],
    holds: bool,
    /// Users in the roster under the term, and under the old one.
    entries: BTreeSet<String>,
    old: BTreeSet<String>,
    others: usize,
}

impl Stage {
    fn new() -> Self {
        Self {
            now: NOW,
            ..Self::default()
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Enter(user, says, limit) => self.enter(user, says, limit),
            Step::GiveUp(user) => {
                let mut all = self.connections.iter_mut();
                if let Some(waits) = all.find(|one| one.waits(user)) {
                    waits.told = Told::Pending;
                }
            }
            Step::Exit(user, which, late) => self.exit(user, which, late),
            Step::Unheard => {
                if let Some(unheard) = self.refused.pop() {
                    let Connection { user, limit, .. } = unheard;
                    self.came[user].push(limit);
                    let told = Told::Pending;
                    self.connections.push(Connection { told, ..unheard });
                    self.table.keep_refused(&lobby(), USERS[user], limit);
                }
            }
            Step::Send => self.send(),
            Step::Answer(arrives, executed) => {
                if let Some(put) = self.sent.take() {
                    let reply = executed.then(|| self.execute(&put));
                    self.answer(reply.filter(|_| arrives), put.limit);
                }
            }
            Step::Lose { writes, by_beat } => self.lose(writes, by_beat),
            Step::Open if self.table.term().is_none() => open(&mut self.table),
            Step::Open => {}
            Step::Hold(holds) => self.holds = holds,
            Step::Beat => self.beat(),
            Step::Others(others) => self.others = others,
        }
    }

    fn enter(&mut self, user: usize, says: bool, limit: Option<u32>) {
        self.said += 1;
        let info = if says {
            self.said.to_string()
        } else {
            String::new()
        };
        let stands = (self.table).enter_limited(&lobby(), (USERS[user], &*info), limit);
        let told = if stands { Told::Entered } else { Told::Nothing };
        self.came[user].push(limit);
        self.connections.push(Connection { user, told, limit });
    }

    fn exit(&mut self, user: usize, which: usize, late: bool) {
        let own = self.connections.iter().enumerate();
        let own: Vec<_> = own
            .filter(|(_, one)| one.user == user)
            .map(|(at, _)| at)
            .collect();
        if !own.is_empty() {
            self.connections.remove(own[which % own.len()]);
            let due = if late { LATER } else { NOW };
            self.table.exit(&lobby(), USERS[user], due);
            self.forget(user);
        }
    }

    fn forget(&mut self, user: usize) {
        if self.count(user, |_| true) == 0 {
            self.came[user].clear();
        }
    }

    fn send(&mut self) {
        if self.sent.is_some() {
            return;
        }
        self.sent = self.table.next_put(self.now, usize::MAX);
        let Some(put) = &self.sent else {
            return;
        };
        for item in &put.items {
            if item.op == PutOp::Enter && !self.has(&item.user) {
                let user = user_of(&item.user);
                let mut waits = self.connections.iter().filter(|one| one.waits(user));
                assert!(waits.all(|one| most(one.limit) <= most(put.limit)));
                assert!(self.came[user].contains(&put.limit), "that of nobody");
            }
        }
    }

    fn beat(&mut self) {
        if self.table.term().is_some() {
            let hold = Duration::from_secs(u64::from(self.holds));
            self.table.on_beat(&pulse(u64::MAX, hold), self.now);
        }
    }

    /// Whether a user is a member.
    fn has(&self, user: &str) -> bool {
        self.entries.contains(user) || self.old.contains(user)
    }

    /// What the registry does.
    fn execute(&mut self, put: &Put) -> PutReply {
        let outcomes = put.items.iter().map(|item| {
            let user = item.user.to_string();
            let is_in = self.has(&user);
            let members = self.entries.union(&self.old).count() + self.others;
            let is_full = put.limit.is_some_and(|limit| members >= limit as usize);
            match item.op {
                PutOp::Enter if !is_in && is_full => return ItemOutcome::Full,
                PutOp::Enter | PutOp::Reenter => self.entries.insert(user),
                PutOp::Leave if self.holds && is_in => return ItemOutcome::Later,
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
    fn answer(&mut self, reply: Option<PutReply>, limit: Option<u32>) {
        for settled in self.table.on_reply(reply, self.now) {
            let user = user_of(&settled.user);
            if settled.verdict == Verdict::Entered {
                let told = self.connections.iter_mut().filter(|one| one.waits(user));
                told.for_each(|one| one.told = Told::Entered);
                continue;
            }
            let (told, others): (Vec<_>, _) =
                (self.connections.iter().copied()).partition(|one| one.waits(user));
            self.connections = others;
            for one in told {
                assert!(most(one.limit) <= most(limit), "refused by another limit");
                self.table.exit(&lobby(), &settled.user, Duration::ZERO);
                self.refused.push(one);
            }
            self.forget(user);
        }
    }

    fn lose(&mut self, writes: bool, by_beat: bool) {
        if self.table.term().is_none() || (!by_beat && self.sent.is_none()) {
            return;
        }
        match (writes, by_beat) {
            (false, true) => self.table.on_beat(&BeatReply::Lost, self.now),
            (false, false) => self.answer(Some(PutReply::Lost), None),
            (true, false) => self.answer(Some(PutReply::Loss), None),
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
        self.holds = false;
        self.beat();
        for round in 0.. {
            assert!(round < 100, "it puts for ever");
            self.send();
            let Some(put) = self.sent.take() else {
                break;
            };
            let reply = self.execute(&put);
            self.answer(Some(reply), put.limit);
        }
        if self.table.take_ended().is_some() {
            self.old.clear();
        }
    }

    fn count(&self, user: usize, told: impl Fn(Told) -> bool) -> u32 {
        let own = self
            .connections
            .iter()
            .filter(|one| one.user == user && told(one.told));
        u32::try_from(own.count()).unwrap()
    }
}

/// How many members the roster may have, for a user to enter.
fn most(limit: Option<u32>) -> u32 {
    limit.unwrap_or(u32::MAX)
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
