//! What subscribers of one node are told while members come and go on all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tieline::Position;

use super::*;

fn member(id: &str, info: &str) -> Member {
    let (id, info) = (id.into(), info.into());
    Member { id, info }
}

fn client(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

fn of_library(one: &Member) -> tieline::Member {
    tieline::Member {
        user: Arc::clone(&one.id),
        info: Arc::clone(&one.info),
    }
}

fn transition(kind: TransitionKind, one: &Member) -> Change {
    let member = of_library(one);
    Change::Transitions {
        transitions: Arc::new([Transition { kind, member }]),
        version: Position::new("1"),
    }
}

fn all(members: &[Member]) -> Change {
    Change::Snapshot {
        members: members.iter().map(of_library).collect(),
        version: Position::new("1"),
    }
}

#[test]
fn a_snapshot_has_every_member_and_always_the_subscriber() {
    let mut room = Room::default();
    let (ada, grace) = (member("ada", r#"{"a": 1}"#), member("grace", ""));
    assert_eq!(
        room.subscribe(client("1"), &grace),
        r#"{"presence":{"ids":["grace"],"hash":{"grace":null},"count":1}}"#
    );
    let tellings = room.change(&all(&[ada.clone(), grace]));
    let told: Vec<_> = tellings.iter().map(|one| &one.what).collect();
    assert_eq!(told[0], &Told::Added(ada.clone()));
    // Its own connection is not told that it has come.
    assert_eq!(tellings[1].except, [client("1")]);
    assert_eq!(
        room.subscribe(client("2"), &member("joan", "7")),
        r#"{"presence":{"ids":["ada","grace","joan"],"hash":{"ada":{"a": 1},"grace":null,"joan":7},"count":3}}"#
    );
}

fn read_by(room: &mut Room, own: &Member) -> serde_json::Value {
    let data = room.subscribe(client(&own.id), own);
    let mut data: serde_json::Value = serde_json::from_str(&data).unwrap();
    data["presence"]["hash"]["ada"].take()
}

#[test]
fn what_is_known_of_a_member_is_what_the_registry_says() {
    let (mut early, mut late) = (Room::default(), Room::default());
    let grace = member("grace", "");
    let silent = transition(TransitionKind::Joined, &member("ada", ""));
    assert_eq!(early.change(&silent).len(), 1);
    for info in ["1", "2"] {
        let says = transition(TransitionKind::Changed, &member("ada", info));
        assert!(early.change(&says).is_empty(), "no event tells it");
    }
    // A node that begins to follow now.
    late.change(&all(&[member("ada", "2")]));
    for room in [&mut early, &mut late] {
        assert_eq!(read_by(room, &grace), 2);
        assert_eq!(read_by(room, &member("ada", "")), 2, "it says nothing");
        // The registry may not know it yet.
        assert_eq!(read_by(room, &member("ada", "3")), 3);
        assert_eq!(read_by(room, &grace), 2);
    }
}

/// What one subscriber knows.
struct Reader {
    id: ClientId,
    user: usize,
    knows: BTreeSet<String>,
}

impl Reader {
    fn subscribe(room: &mut Room, number: usize, user: usize) -> Self {
        let id = client(&format!("c{number}"));
        let data = room.subscribe(id.clone(), &named(user));
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        let ids = data["presence"]["ids"].as_array().unwrap().iter();
        let knows = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        Self { id, user, knows }
    }

    fn read(&mut self, telling: &Telling) {
        if telling.except.contains(&self.id) {
            return;
        }
        let own = &named(self.user).id;
        match &telling.what {
            Told::Added(one) => {
                assert_ne!(&one.id, own, "told of itself");
                assert!(
                    self.knows.insert(one.id.to_string()),
                    "{} came twice",
                    one.id
                );
            }
            Told::Removed(user) => {
                assert_ne!(user, own, "told of itself");
                assert!(self.knows.remove(&**user), "{user} went, and was not there");
            }
        }
    }
}

fn named(user: usize) -> Member {
    member(&format!("u{user}"), "")
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe(usize),
    Unsubscribe(prop::sample::Index),
    /// A user comes or goes, whichever it can.
    Toggle(usize),
    ReadAnew,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_usize).prop_map(Step::Subscribe),
        2 => any::<prop::sample::Index>().prop_map(Step::Unsubscribe),
        4 => (0..4_usize).prop_map(Step::Toggle),
        1 => Just(Step::ReadAnew),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Each subscriber knows exactly the roster and itself, whatever the order of joins, leaves and changes.
    #[test]
    fn every_subscriber_knows_the_roster_and_itself(steps in steps()) {
        let (mut room, mut readers) = (Room::default(), Vec::new());
        let mut roster = BTreeSet::new();
        for (number, step) in steps.into_iter().enumerate() {
            let tellings = match step {
                Step::Subscribe(user) => {
                    readers.push(Reader::subscribe(&mut room, number, user));
                    Vec::new()
                }
                Step::Unsubscribe(which) if !readers.is_empty() => {
                    let gone = readers.swap_remove(which.index(readers.len()));
                    room.unsubscribe(&gone.id, &named(gone.user).id);
                    Vec::new()
                }
                Step::Unsubscribe(_) => Vec::new(),
                Step::Toggle(user) => {
                    let kind = if roster.remove(&user) {
                        TransitionKind::Left
                    } else {
                        roster.insert(user);
                        TransitionKind::Joined
                    };
                    room.change(&transition(kind, &named(user)))
                }
                Step::ReadAnew => {
                    let members: Vec<_> = roster.iter().map(|user| named(*user)).collect();
                    room.change(&all(&members))
                }
            };
            for reader in &mut readers {
                tellings.iter().for_each(|telling| reader.read(telling));
                let others = roster.iter().chain([&reader.user]);
                let expected: BTreeSet<_> = others.map(|user| named(*user).id.to_string()).collect();
                prop_assert_eq!(&reader.knows, &expected);
            }
        }
        prop_assert!(readers.is_empty() || !room.here.is_empty());
    }
}
