//! The invariants, and how the nodes come to rest.

use std::{collections::BTreeSet, sync::Arc};

use tieline_registry::{
    Cursor, JournalReply, RosterName, TransitionKind,
    roster_view::{Transition, Update},
};

use super::stage::{NODE_A, NODE_B, ROUNDS, Stage, lobby};
use crate::expect::expect_reply;

/// At every step.
impl Stage<'_> {
    /// What a view has to tell reaches its subscriber, and must be right.
    pub(super) fn tell(&mut self, node: usize) {
        for (roster, update) in self.nodes[node].view.take_updates() {
            if roster != lobby() {
                continue;
            }
            match update {
                Update::Snapshot(members) => {
                    let members = members.into_iter();
                    self.nodes[node].told = members.map(|one| (one.user, one.info)).collect();
                }
                Update::Transitions(transitions) => {
                    for transition in transitions {
                        self.tell_one(node, transition);
                    }
                }
            }
        }
    }

    fn tell_one(&mut self, node: usize, transition: Transition) {
        let user = transition.member.user;
        if transition.kind == TransitionKind::Left && self.is_prompt {
            let here = |node: &super::stage::Node| node.is_up && node.steady.contains(&user);
            let here = self.nodes.iter().any(here);
            assert!(!here, "I4: {user} was told to have gone, and is here");
        }
        let node = &mut self.nodes[node];
        let (sign, changes) = match transition.kind {
            TransitionKind::Joined => {
                let info = transition.member.info;
                ("+", node.told.insert(Arc::clone(&user), info).is_none())
            }
            TransitionKind::Left => ("-", node.told.remove(&user).is_some()),
            TransitionKind::Changed => {
                let info = transition.member.info;
                let before = node.told.insert(Arc::clone(&user), Arc::clone(&info));
                ("~", before.is_some_and(|before| before != info))
            }
        };
        assert!(changes, "I3: {sign}{user} was told, and changes nothing");
        node.heard.push(format!("{sign}{user}"));
    }
}

/// At rest.
impl Stage<'_> {
    /// Lets the nodes do what they do, until they have come to rest, and checks the invariants.
    pub(super) async fn converge(&mut self) {
        for _ in 0..ROUNDS {
            self.round().await;
            if self.wrong().await.is_none() && !self.has_left_something() {
                return;
            }
            self.pass(self.lease / 6).await;
        }
        if let Some(wrong) = self.wrong().await {
            panic!("{wrong}");
        }
        panic!("I5: the nodes do not come to rest");
    }

    /// What each node does within a beat.
    pub(super) async fn round(&mut self) {
        for node in [NODE_A, NODE_B] {
            if self.nodes[node].is_gone {
                continue;
            }
            self.nodes[node].is_up = true;
            if self.nodes[node].table.term().is_none() {
                self.open(node).await;
            }
            self.beat(node).await;
            if self.nodes[node].table.term().is_none() {
                self.open(node).await;
            }
            self.flush(node).await;
            self.end_old(node).await;
        }
        self.tend().await;
        for node in [NODE_A, NODE_B] {
            if self.nodes[node].follows {
                self.catch_up(node).await;
                self.settle(node).await;
                self.catch_up(node).await;
            }
        }
        self.audit().await;
    }

    fn has_left_something(&self) -> bool {
        let settling = self.nodes.iter().any(|node| node.view.is_settling());
        settling
            || self
                .nodes
                .iter()
                .any(|node| node.table.old_term().is_some())
    }

    /// What is not as it must be at rest.
    async fn wrong(&mut self) -> Option<String> {
        let users = self.nodes.iter().flat_map(|node| node.users.clone());
        let here: BTreeSet<Arc<str>> = users.collect();
        let members = self.members(&lobby()).await;
        if members != here {
            let difference = difference(&members, &here);
            return Some(format!("I1: the roster is not who is here: {difference}"));
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let told: BTreeSet<_> = node.told.keys().cloned().collect();
            if node.follows && told != here {
                let difference = difference(&told, &here);
                return Some(format!(
                    "I1: node {number} does not show who is here: {difference}"
                ));
            }
        }
        if self.auditor.members != here {
            let difference = difference(&self.auditor.members, &here);
            return Some(format!(
                "I2: the journal does not tell who is here: {difference}"
            ));
        }
        None
    }

    /// All members, page by page.
    pub(super) async fn members(&self, roster: &RosterName) -> BTreeSet<Arc<str>> {
        let mut members = BTreeSet::new();
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = expect_reply(self.rosters().page(roster, cursor).await);
            members.extend(page.members.into_iter().map(|member| member.user));
            from = page.next;
        }
        members
    }

    /// Replays the journal: each transition must be one.
    async fn audit(&mut self) {
        let lobby = lobby();
        loop {
            let Some(at) = self.auditor.at.clone() else {
                let roster = expect_reply(self.rosters().roster(&lobby, usize::MAX).await);
                let members = roster.members.expect("all were asked for").into_iter();
                self.auditor.members = members.map(|member| member.user).collect();
                self.auditor.at = Some(roster.tail);
                return;
            };
            match expect_reply(self.rosters().read(&at).await) {
                JournalReply::Broken => self.auditor.at = None,
                JournalReply::Entries { entries, reached } => {
                    self.auditor.at = Some(reached);
                    if entries.is_empty() {
                        return;
                    }
                    for entry in entries {
                        if entry.roster != lobby {
                            continue;
                        }
                        let user = entry.user;
                        let changes = match entry.kind {
                            TransitionKind::Joined => self.auditor.members.insert(user.clone()),
                            TransitionKind::Left => self.auditor.members.remove(&user),
                            TransitionKind::Changed => self.auditor.members.contains(&user),
                        };
                        let kind = entry.kind;
                        assert!(changes, "I2: the journal tells {kind:?} of {user} twice");
                        let count = u64::try_from(self.auditor.members.len()).ok();
                        assert_eq!(
                            Some(entry.count),
                            count,
                            "the count after {kind:?} of {user}"
                        );
                    }
                }
            }
        }
    }
}

/// The users whom one set has too many, and those whom it lacks: some of them.
fn difference(found: &BTreeSet<Arc<str>>, here: &BTreeSet<Arc<str>>) -> String {
    let some = |one: &BTreeSet<Arc<str>>, other: &BTreeSet<Arc<str>>| {
        one.difference(other).take(10).cloned().collect::<Vec<_>>()
    };
    let (too_many, missing) = (some(found, here), some(here, found));
    format!("{too_many:?} are too many, {missing:?} are missing")
}
