//! Checks what a follower is told: a snapshot, then changes, each of which changes what was told before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tieline::{Change, Following, TransitionKind};
use tokio::time::timeout;

/// How long an expected change may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a follower was told.
#[derive(Default)]
pub(crate) struct History {
    /// User → information.
    pub(crate) members: BTreeMap<String, String>,
    /// `+ada`, `-ada`, `~ada`.
    pub(crate) heard: Vec<String>,
    snapshots: usize,
}

/// A follower, checked.
pub(crate) struct Observer {
    following: Following,
    pub(crate) history: History,
}

impl History {
    /// Applies a change; the error says what is wrong with it.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Snapshot { members, .. } => {
                self.snapshots += 1;
                let count = members.len();
                let named = members
                    .iter()
                    .map(|one| (one.user.to_string(), one.info.to_string()));
                self.members = named.collect();
                if self.members.len() != count {
                    return Err("a snapshot names a user twice".to_owned());
                }
            }
            Change::Transitions { transitions, .. } => {
                if self.snapshots == 0 {
                    return Err("a change came before the first snapshot".to_owned());
                }
                for one in transitions.iter() {
                    self.apply_one(one.kind, &one.member.user, &one.member.info)?;
                }
            }
            other => return Err(format!("{other:?}")),
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        kind: TransitionKind,
        user: &Arc<str>,
        info: &Arc<str>,
    ) -> Result<(), String> {
        let (user, info) = (user.to_string(), info.to_string());
        let (sign, is_right) = match kind {
            TransitionKind::Joined => {
                let before = self.members.insert(user.clone(), info);
                ('+', before.is_none())
            }
            TransitionKind::Left => ('-', self.members.remove(&user).is_some()),
            TransitionKind::Changed => {
                let before = self.members.insert(user.clone(), info.clone());
                ('~', before.is_some_and(|before| before != info))
            }
        };
        let heard = format!("{sign}{user}");
        if !is_right {
            return Err(format!("{heard} changes nothing, after {:?}", self.heard));
        }
        self.heard.push(heard);
        Ok(())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.members.keys().map(String::as_str).collect()
    }
}

impl Observer {
    /// Follows, and has been told who is there.
    pub(crate) async fn start(following: Following) -> Self {
        let history = History::default();
        let mut observer = Self { following, history };
        observer.until(|history| history.snapshots > 0).await;
        observer
    }

    /// Waits until what was told is so.
    pub(crate) async fn until(&mut self, holds: impl Fn(&History) -> bool) {
        while !holds(&self.history) {
            let next = timeout(PATIENCE, self.following.next()).await;
            let Ok(change) = next else {
                let History { members, heard, .. } = &self.history;
                panic!("nothing more is told: {members:?} after {heard:?}");
            };
            let change = change.expect("the node lasts");
            self.history.apply(change).expect("a change must be one");
        }
    }

    pub(crate) async fn until_heard(&mut self, what: &str) {
        self.until(|history| history.heard.iter().any(|heard| heard == what))
            .await;
    }

    pub(crate) async fn until_members(&mut self, members: &[&str]) {
        self.until(|history| history.names() == members).await;
    }

    /// What is told within a time, at whose end nothing may be left untold.
    pub(crate) async fn hear_for(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(change) = tokio::time::timeout_at(end, self.following.next()).await {
            let change = change.expect("the node lasts");
            self.history.apply(change).expect("a change must be one");
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.following.is_stale()
    }
}

#[test]
fn a_history_with_a_fault_is_refused() {
    use tieline::{Member, Position, Transition};

    let member = |user: &str, info: &str| Member {
        user: user.into(),
        info: info.into(),
    };
    let snapshot = |users: &[&str]| Change::Snapshot {
        members: users.iter().map(|user| member(user, "")).collect(),
        version: Position::new("1"),
    };
    let told = |kind, user: &str, info: &str| Change::Transitions {
        transitions: [Transition {
            kind,
            member: member(user, info),
        }]
        .into(),
        version: Position::new("2"),
    };
    let check = |changes: Vec<Change>| {
        let mut history = History::default();
        changes
            .into_iter()
            .try_for_each(|change| history.apply(change))
    };
    let (joined, left) = (TransitionKind::Joined, TransitionKind::Left);
    let changed = TransitionKind::Changed;
    let right = vec![
        snapshot(&["ada"]),
        told(joined, "grace", ""),
        told(changed, "grace", "x"),
        told(left, "ada", ""),
        snapshot(&["grace"]),
    ];
    check(right).unwrap();
    let wrong = [
        vec![told(joined, "ada", "")],
        vec![snapshot(&["ada", "ada"])],
        vec![snapshot(&["ada"]), told(joined, "ada", "")],
        vec![snapshot(&[]), told(left, "ada", "")],
        vec![
            snapshot(&["ada"]),
            told(left, "ada", ""),
            told(left, "ada", ""),
        ],
        vec![snapshot(&["ada"]), told(changed, "ada", "")],
        vec![snapshot(&[]), told(changed, "ada", "x")],
    ];
    for changes in wrong {
        check(changes.clone()).expect_err(&format!("{changes:?}"));
    }
}
