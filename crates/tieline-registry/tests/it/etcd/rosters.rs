//! Rosters on etcd: what the conformance suite cannot do to a store.

use std::time::Duration;

use tieline_registry::{
    BeatReply, Cursor, EtcdRegistry, HookReply, ItemOutcome, JournalEntry, JournalReply, MAX_READ,
    OpenReply, Position, Put, PutItem, PutOp, PutReply, RegistryError, RegistryErrorKind,
    RosterKind, RosterName, Rosters, Term, TransitionKind,
};
use tieline_test_servers::etcd::Etcd;

use super::{PREFIX, STEADY, connect, options};
use crate::kit::run_threads;

/// A term, and what its puts need.
pub(super) struct Writer<'a> {
    pub(super) registry: &'a EtcdRegistry,
    pub(super) term: Term,
    number: u64,
    stands: u64,
    pub(super) begin: Position,
}

impl<'a> Writer<'a> {
    pub(super) async fn new(registry: &'a EtcdRegistry, lease: Duration) -> Self {
        let term = Term::new(lease, Duration::ZERO);
        let OpenReply::Opened { stands, tail } = registry.open(&term).await.unwrap() else {
            panic!("its name is new");
        };
        Self {
            registry,
            term,
            number: stands,
            stands,
            begin: tail,
        }
    }

    async fn try_put(
        &mut self,
        limit: Option<u32>,
        items: Vec<PutItem>,
    ) -> Result<PutReply, RegistryError> {
        self.number += 1;
        let put = Put {
            number: self.number,
            acknowledged: self.stands,
            limit,
            items,
        };
        let reply = self.registry.put(&self.term, &put).await?;
        if let PutReply::Done { stands, .. } | PutReply::Stale { stands } = reply {
            self.stands = stands;
        }
        Ok(reply)
    }

    pub(super) async fn put(
        &mut self,
        limit: Option<u32>,
        items: Vec<PutItem>,
    ) -> Vec<ItemOutcome> {
        match self.try_put(limit, items).await.unwrap() {
            PutReply::Done { outcomes, .. } => outcomes,
            other => panic!("nobody else writes in this term: {other:?}"),
        }
    }

    /// Puts until it is done, as a node does when an answer is lost.
    async fn enter(&mut self, user: &str) {
        loop {
            match self.try_put(None, vec![item(PutOp::Enter, user)]).await {
                Ok(PutReply::Done { outcomes, .. }) => {
                    return assert_eq!(outcomes, [ItemOutcome::Done]);
                }
                Ok(PutReply::Stale { .. }) | Err(_) => {}
                Ok(other) => panic!("the term lives: {other:?}"),
            }
        }
    }
}

pub(super) fn lobby() -> RosterName {
    RosterName::new(RosterKind::Members, "lobby")
}

pub(super) fn item(op: PutOp, user: &str) -> PutItem {
    PutItem {
        op,
        roster: lobby(),
        user: user.into(),
        info: "about 40 bytes of what is known of a user".into(),
    }
}

/// One read; `None` if the journal is broken.
pub(super) async fn read(
    registry: &EtcdRegistry,
    at: &Position,
) -> Option<(Vec<JournalEntry>, Position)> {
    match registry.read(at).await.unwrap() {
        JournalReply::Entries { entries, reached } => Some((entries, reached)),
        JournalReply::Broken => None,
    }
}

/// The users of transitions.
fn users(entries: &[JournalEntry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.user).collect()
}

/// The user of the next transition, as soon as it comes.
async fn next(registry: &EtcdRegistry, at: &mut Position) -> String {
    loop {
        // A server that has died is left.
        if let Ok(reply) = registry.read(at).await {
            let JournalReply::Entries { entries, reached } = reply else {
                panic!("nothing is lost");
            };
            *at = reached;
            match &*entries {
                [] => {}
                [entry] => return entry.user.to_string(),
                more => panic!("one thing has happened: {more:?}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn another_node_goes_on_in_the_middle_of_a_revision() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let mut writer = Writer::new(&registry, STEADY).await;
        let names: Vec<_> = (0..1200)
            .map(|number| format!("user {number:04}"))
            .collect();
        for names in names.chunks(500) {
            let items = names.iter().map(|name| item(PutOp::Enter, name));
            writer.put(None, items.collect()).await;
        }
        // All go at one revision.
        registry.end(&writer.term, Duration::ZERO).await.unwrap();
        let mut at = writer.begin.clone();
        let mut told = Vec::new();
        while told.len() < 2400 {
            let other = connect(&etcd).await;
            let Some((entries, reached)) = read(&other, &at).await else {
                panic!("the journal is whole");
            };
            assert!(entries.len() <= MAX_READ);
            assert!(
                entries
                    .iter()
                    .all(|entry| reached.has_reached(&entry.position))
            );
            told.extend(entries);
            at = reached;
        }
        let (came, went) = told.split_at(1200);
        assert_eq!(users(came), names);
        // In the order of their keys.
        let mut gone = users(went);
        gone.sort_unstable();
        assert_eq!(gone, names);
        assert!(came.iter().all(|one| one.kind == TransitionKind::Joined));
        assert!(went.iter().all(|one| one.kind == TransitionKind::Left));
        let counts = went.iter().map(|one| one.count);
        assert!(counts.eq((0..1200).rev()), "each says how many are left");
    });
}

#[test]
fn a_journal_that_is_compacted_is_broken_only_for_who_has_not_read_it() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let mut writer = Writer::new(&registry, STEADY).await;
        let begin = writer.begin.clone();
        writer.enter("ada").await;
        let (told, mut at) = read(&registry, &begin).await.unwrap();
        assert_eq!(users(&told), ["ada"]);
        writer.enter("grace").await;
        etcd.gateway().compact().await;
        // Its watch has brought it already.
        assert_eq!(next(&registry, &mut at).await, "grace");
        let late = connect(&etcd).await;
        assert_eq!(read(&late, &begin).await, None);
        let tail = late.roster(&lobby(), 10).await.unwrap().tail;
        assert_eq!(read(&late, &tail).await.unwrap().0, []);
    });
}

#[test]
fn transitions_are_told_once_when_the_server_of_the_watch_dies() {
    run_threads(1, async {
        let mut etcd = Etcd::cluster(3).await;
        let registry = connect(&etcd).await;
        // Each begins with any of the servers.
        let followers = [
            connect(&etcd).await,
            connect(&etcd).await,
            connect(&etcd).await,
        ];
        let mut writer = Writer::new(&registry, STEADY).await;
        let mut places = [(); 3].map(|()| writer.begin.clone());
        for killed in 0..3 {
            for user in [format!("before {killed}"), format!("after {killed}")] {
                if user.starts_with("after") {
                    etcd.kill(killed);
                }
                writer.enter(&user).await;
                for (follower, at) in followers.iter().zip(&mut places) {
                    assert_eq!(next(follower, at).await, user);
                }
            }
            etcd.restart(killed, true).await;
        }
    });
}

#[test]
fn a_silent_server_fails_reads_and_nothing_is_missed() {
    run_threads(1, async {
        let mut etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let mut writer = Writer::new(&registry, STEADY).await;
        let mut at = writer.begin.clone();
        writer.enter("ada").await;
        assert_eq!(next(&registry, &mut at).await, "ada");
        etcd.stop(0);
        let failed = registry.read(&at).await;
        assert!(failed.is_err(), "an answer would be old: {failed:?}");
        etcd.resume(0);
        writer.enter("grace").await;
        assert_eq!(next(&registry, &mut at).await, "grace");
    });
}

/// Users of two terms take one place, those who go make room, and who is a member already needs none.
#[test]
fn places_are_counted_by_user() {
    run_threads(1, async {
        use ItemOutcome::{Done, Full};
        use PutOp::{Enter, Leave, Reenter};

        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let mut first = Writer::new(&registry, STEADY).await;
        let mut second = Writer::new(&registry, STEADY).await;
        let limit = Some(3);
        let both = || vec![item(Enter, "ada"), item(Enter, "grace")];
        assert_eq!(first.put(limit, both()).await, [Done, Done]);
        assert_eq!(second.put(limit, both()).await, [Done, Done]);
        let items = vec![item(Enter, "joan"), item(Enter, "mary")];
        assert_eq!(first.put(limit, items).await, [Done, Full]);
        // Ada is at the other term, Joan is not.
        let items = vec![item(Leave, "ada"), item(Enter, "mary")];
        assert_eq!(first.put(limit, items).await, [Done, Full]);
        let items = vec![item(Leave, "joan"), item(Enter, "mary")];
        assert_eq!(first.put(limit, items).await, [Done, Done]);
        let items = vec![item(Reenter, "eve"), item(Enter, "mary"), item(Enter, "x")];
        assert_eq!(second.put(limit, items).await, [Done, Done, Full]);
        let roster = registry.roster(&lobby(), 10).await.unwrap();
        assert_eq!(roster.count, 4, "{roster:?}");
    });
}

#[test]
fn a_cursor_leads_to_no_other_roster() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let mut writer = Writer::new(&registry, STEADY).await;
        let hall = RosterName::new(RosterKind::Members, "hall");
        for first in (0..1_500).step_by(500) {
            let users = (first..first + 500).map(|number| PutItem {
                roster: hall.clone(),
                ..item(PutOp::Enter, &format!("user {number}"))
            });
            writer.put(None, users.collect()).await;
        }
        writer.enter("ada").await;
        let page = registry.page(&hall, Cursor::default()).await.unwrap();
        assert!(page.members.len() >= 999, "{}", page.members.len());
        let of_hall = page.next.expect("there are more");
        let page = registry.page(&lobby(), of_hall.clone()).await.unwrap();
        let users: Vec<_> = page.members.iter().map(|one| &*one.user).collect();
        assert_eq!(users, ["ada"]);
        let rest = registry.page(&hall, of_hall).await.unwrap();
        assert_eq!((rest.members.len() >= 500, rest.next), (true, None));
        let invalid = registry.page(&hall, Cursor(vec![1])).await.unwrap_err();
        assert_eq!(invalid.kind(), RegistryErrorKind::InvalidInput);
    });
}

/// What a node may do below its prefixes is enough.
#[test]
fn users_of_etcd_need_no_further_permission() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&[PREFIX, "!tieline/ws/"]).await;
        let url = etcd.url_as("tieline:secret@");
        let registry = EtcdRegistry::connect_with(&url, PREFIX, options()).await;
        let registry = registry.unwrap();
        let mut writer = Writer::new(&registry, STEADY).await;
        let mut at = writer.begin.clone();
        writer.enter("ada").await;
        assert_eq!(next(&registry, &mut at).await, "ada");
        let beat = registry.beat(&writer.term).await.unwrap();
        assert!(matches!(beat, BeatReply::Renewed(_)));
        let hook = registry.hook(&writer.term, None).await.unwrap();
        assert!(matches!(hook, HookReply::Reset(_)));
        let kept = registry.hook(&writer.term, Some(&at)).await.unwrap();
        assert_eq!(kept, HookReply::Held(at.clone()));
        // The token of the watch has expired, and its stream with it or not: what comes is told.
        tokio::time::sleep(Duration::from_secs(3)).await;
        writer.enter("grace").await;
        assert_eq!(next(&registry, &mut at).await, "grace");
        registry.end(&writer.term, Duration::ZERO).await.unwrap();
        assert_eq!(registry.roster(&lobby(), 10).await.unwrap().count, 0);
    });
}
