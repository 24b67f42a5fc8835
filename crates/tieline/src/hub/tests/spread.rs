//! Scopes whose members are spread over shards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Barrier, mpsc},
    thread,
};

use proptest::prelude::*;

use super::*;
use crate::{delivery::Reached, receipt::Receipt};

/// The shard of a connection.
fn shard_of(guard: &ConnectionGuard) -> usize {
    inner(guard).shard.into()
}

#[test]
fn a_message_waits_for_no_shard_without_members() {
    run(async {
        for shards in [2, 8, 200] {
            let hub = hub(with_shards(shards));
            let member = connect(&hub, "member");
            let other = |i| connect_as(&hub, &format!("other{i}"), Some("other"), &["others"]);
            let _others: Vec<_> = (0..200).map(other).collect();
            // As another caller holds them for long.
            let elsewhere = (0..shards).filter(|shard| *shard != shard_of(&member));
            let held: Vec<_> = elsewhere
                .map(|i| hub.inner.shards[i].index.lock())
                .collect();
            let (done, sent) = mpsc::sync_channel(1);
            let sender = thread::spawn({
                let hub = hub.clone();
                move || {
                    let mut receipts = [
                        hub.emit_group("g", "x"),
                        hub.emit_group("nobody", "x"),
                        hub.emit_user("nobody", "x"),
                    ];
                    let reached = receipts.each_mut().map(Receipt::try_outcome);
                    let members = hub.members("g").len();
                    done.send((reached.map(|reached| reached.unwrap().delivered), members))
                }
            });
            let sent = sent.recv_timeout(Duration::from_secs(30));
            drop(held);
            assert_eq!(sent, Ok(([1, 0, 0], 1)), "{shards} shards");
            sender.join().unwrap().unwrap();
        }
    });
}

/// What clients do, of whom there are 12, with 3 groups.
#[derive(Debug, Clone)]
enum Step {
    /// A client with this user and in this group comes, or comes back.
    Connect(usize, usize, usize),
    Disconnect(usize),
    Join(usize, usize),
    Leave(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (client, group) = (0..12_usize, 0..3_usize);
    prop_oneof![
        (client.clone(), 0..3_usize, group.clone()).prop_map(|(c, u, g)| Step::Connect(c, u, g)),
        client.clone().prop_map(Step::Disconnect),
        (client.clone(), group.clone()).prop_map(|(c, g)| Step::Join(c, g)),
        (client, group).prop_map(|(c, g)| Step::Leave(c, g)),
    ]
}

/// Who is in which group, and which user each is.
#[derive(Default)]
struct Model {
    users: BTreeMap<usize, usize>,
    groups: BTreeSet<(usize, usize)>,
}

impl Model {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Connect(client, user, group) => {
                self.take(&Step::Disconnect(client));
                self.users.insert(client, user);
                self.groups.insert((group, client));
            }
            Step::Disconnect(client) => {
                self.users.remove(&client);
                self.groups.retain(|(_, member)| *member != client);
            }
            Step::Join(client, group) if self.users.contains_key(&client) => {
                self.groups.insert((group, client));
            }
            Step::Join(..) => {}
            Step::Leave(client, group) => {
                self.groups.remove(&(group, client));
            }
        }
    }

    /// The members of each group, and the connections of each user.
    fn counts(&self) -> [[usize; 3]; 2] {
        let members = |group| self.groups.iter().filter(|(of, _)| *of == group).count();
        let connections = |user| self.users.values().filter(|of| **of == user).count();
        [[0, 1, 2].map(members), [0, 1, 2].map(connections)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_reaches_the_members_of_all_shards_whoever_comes_and_goes(
        shards in prop_oneof![1..=8_usize, 65..=130_usize],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(async {
            let hub = hub(with_shards(shards));
            let (mut guards, mut model) = (BTreeMap::new(), Model::default());
            for step in &steps {
                model.take(step);
                match *step {
                    Step::Connect(client, user, group) => {
                        let (user, group) = (format!("u{user}"), format!("g{group}"));
                        let guard = connect_as(&hub, &format!("c{client}"), Some(&user), &[&group]);
                        guards.insert(client, guard);
                    }
                    Step::Disconnect(client) => drop(guards.remove(&client)),
                    Step::Join(client, group) => {
                        if let Some(guard) = guards.get(&client) {
                            guard.connection().join(&format!("g{group}")).unwrap();
                        }
                    }
                    Step::Leave(client, group) => {
                        if let Some(guard) = guards.get(&client) {
                            guard.connection().leave(&format!("g{group}"));
                        }
                    }
                }
                let delivered = |mut receipt: Receipt<Reached>| {
                    usize::try_from(receipt.try_outcome().unwrap().delivered).unwrap()
                };
                let groups = [0, 1, 2].map(|i| delivered(hub.emit_group(&format!("g{i}"), "x")));
                let users = [0, 1, 2].map(|i| delivered(hub.emit_user(&format!("u{i}"), "x")));
                prop_assert_eq!([groups, users], model.counts());
            }
            Ok(())
        })?;
    }
}

/// Each joins, sends, and has to be among the receivers, while others make the group come and go in the same
/// shards.
#[test]
fn who_has_joined_is_reached_at_once() {
    const THREADS: usize = 4;
    run(async {
        let hub = hub(Config {
            slow_consumer: crate::config::SlowConsumer::DropOldest,
            ..with_shards(2)
        });
        let crowd: Vec<_> = (0..THREADS)
            .map(|i| connect_as(&hub, &format!("c{i}"), None, &[]))
            .collect();
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for (i, guard) in crowd.iter().enumerate() {
                let (hub, start) = (&hub, &start);
                scope.spawn(move || {
                    let others: Vec<_> = (0..THREADS).filter(|other| *other != i).collect();
                    let others: Vec<_> = others.iter().map(|i| format!("c{i}")).collect();
                    start.wait();
                    for round in 0..2_000 {
                        assert!(guard.connection().join("come and go").unwrap());
                        let mut receipt = hub.except(&others).emit_group("come and go", "x");
                        let reached = receipt.try_outcome().unwrap();
                        assert_eq!(reached.delivered, 1, "round {round}");
                        assert!(guard.connection().leave("come and go"));
                    }
                });
            }
        });
        assert_eq!(hub.members("come and go"), []);
    });
}
