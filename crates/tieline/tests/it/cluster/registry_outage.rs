//! The registry is away, and comes back, with what it knew or empty.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tieline::{
    Cluster, ClusterConfig, Config, Delivery, Duplicate, OnlineStatus, registry::Registry,
};
use tokio::time::{Instant, sleep};

use super::numbered_messages::{DECIDED, timed};
use crate::kit::{Member, Mood, Reader, Store, entries, eventually, quick, run};

/// An upgrade waits 250 ms for the registry; and what a busy machine takes.
const UPGRADED: Duration = Duration::from_millis(450);

struct World {
    store: Arc<Store>,
    a: Member,
    b: Member,
    /// Where an id that is connected is not displaced.
    strict: Member,
    at_a: Reader,
    at_b: Reader,
}

impl World {
    async fn start() -> Self {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let strict = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = Member::start(&registry).await;
        let b = Member::start(&registry).await;
        let strict = Member::start_with(&registry, strict, quick()).await;
        for member in [&a, &b, &strict] {
            member.linked(2).await;
        }
        let world = Self {
            at_a: a.reader("id=at-a&user=u&quiet").await,
            at_b: b.reader("id=at-b&user=u&quiet").await,
            store,
            a,
            b,
            strict,
        };
        assert!(world.b.cluster.synced().await);
        assert!(world.a.cluster.emit("at-b", "warm").await.is_delivered());
        world
    }

    /// All that works without a registry, and how soon the rest is refused.
    async fn goes_on(&self) {
        for id in ["at-a", "at-b"] {
            let (delivery, took) = timed(&self.a.cluster, id, "going on").await.unwrap();
            assert_eq!(delivery, Delivery::Delivered, "{id}");
            assert!(took < DECIDED, "{took:?}");
        }
        let (delivery, took) = timed(&self.a.cluster, "nobody knows", "x").await.unwrap();
        assert!(
            [Delivery::Unreachable, Delivery::Unknown].contains(&delivery),
            "{delivery}"
        );
        assert!(took <= DECIDED, "{took:?}");
        let begun = Instant::now();
        let present = self.a.cluster.online(["at-a", "nobody knows"]).await;
        assert_eq!(present, [OnlineStatus::Online, OnlineStatus::Unknown]);
        let summary = self.a.cluster.broadcast("to all").await;
        assert_eq!(summary.reached.delivered, 3, "{summary:?}");
        let summary = self.a.cluster.emit_user("u", "to the user").await;
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        assert!(begun.elapsed() <= DECIDED, "{:?}", begun.elapsed());
    }

    /// Newcomers are let in where they may displace others, and refused where not.
    async fn lets_in(&self, id: &str) -> Reader {
        let begun = Instant::now();
        let newcomer = self.a.reader(&format!("id={id}&quiet")).await;
        assert!(begun.elapsed() <= UPGRADED, "{:?}", begun.elapsed());
        assert_eq!(self.a.cluster.emit(id, "local").await, Delivery::Delivered);
        let begun = Instant::now();
        let (_, answer) = self.strict.ask("id=strict").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(
            answer.body.contains("the registry does not answer"),
            "{answer:?}"
        );
        assert!(begun.elapsed() <= UPGRADED, "{:?}", begun.elapsed());
        newcomer
    }
}

/// The registry is away for so long; with `wipe` it comes back empty.
async fn away(mood: Mood, time: Duration, wipe: bool) {
    let mut world = World::start().await;
    let mut leaver = world.b.reader("id=leaver&quiet").await;
    eventually(|| world.b.cluster.entries() == 2).await;
    world.store.set(mood);
    let begun = Instant::now();
    world.goes_on().await;
    let first = world.lets_in("first").await;
    leaver.send_close().await;
    eventually(|| !world.b.has("leaver")).await;
    eventually(|| world.a.cluster.readiness().is_err()).await;
    let second = world.lets_in("second").await;
    // Its old connection is on b, and the registry cannot say so.
    let moved = world.a.reader("id=at-b&user=u&quiet").await;
    sleep(time.saturating_sub(begun.elapsed())).await;
    if wipe {
        world.store.wipe();
    }
    world.store.set(Mood::Well);
    let back = Instant::now();
    let a = world.a.peer_address();
    let expected: BTreeMap<_, _> = ["at-a", "first", "second", "at-b"]
        .map(|id| (id.to_owned(), a.clone()))
        .into();
    while entries(&*world.store).await != expected {
        sleep(Duration::from_millis(2)).await;
        assert!(
            back.elapsed() <= quick().lease,
            "{:?}",
            entries(&*world.store).await
        );
    }
    // The newest of the two has the id, and the older one hears so.
    assert_eq!(world.at_b.until_closed().await, Some(4409));
    while !world.b.cluster.emit("at-b", "moved").await.is_delivered() {
        assert!(back.elapsed() <= quick().lease, "{:?}", back.elapsed());
        sleep(Duration::from_millis(2)).await;
    }
    moved.until("moved").await;
    for reader in [&world.at_a, &first, &second, &moved] {
        assert_eq!(reader.code(), None);
    }
    eventually(|| world.a.cluster.readiness().is_ok() && world.strict.node.is_ready()).await;
    world.at_a.say("still here").await;
    while world.strict.ask("id=strict").await.1.status != 101 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_registry_that_is_away_for_a_moment_is_done_without() {
    let time = Duration::from_millis(500);
    run(async {
        tokio::join!(
            away(Mood::Errs, time, false),
            away(Mood::Hangs, time, false)
        );
    });
}

#[test]
fn a_registry_that_is_away_for_longer_than_a_lease_is_done_without() {
    let time = quick().lease + Duration::from_secs(1);
    run(async {
        tokio::join!(
            away(Mood::Errs, time, false),
            away(Mood::Hangs, time, false)
        );
    });
}

#[test]
fn a_registry_that_comes_back_empty_is_filled_again() {
    let time = Duration::from_millis(500);
    run(async {
        tokio::join!(away(Mood::Errs, time, true), away(Mood::Hangs, time, true));
    });
}

#[test]
fn an_audit_that_hangs_does_not_delay_what_the_registry_lost() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let busy = ClusterConfig {
            audit_interval: Duration::from_millis(100),
            ..quick()
        };
        let a = Member::start_with(&registry, Config::default(), busy).await;
        let _client = a.reader("id=ann&quiet").await;
        store.set(Mood::Hangs);
        // Long enough for an audit to be under way, and short enough for it to be answered.
        sleep(Duration::from_millis(800)).await;
        store.wipe();
        store.set(Mood::Well);
        let back = Instant::now();
        while entries(&*registry).await.len() != 1 {
            sleep(Duration::from_millis(2)).await;
            assert!(back.elapsed() <= quick().lease, "nothing yet");
        }
    });
}

#[test]
fn a_registry_that_is_emptied_while_nobody_looks_is_filled_again() {
    run(async {
        let world = World::start().await;
        let before = entries(&*world.store).await;
        assert_eq!(before.len(), 2);
        world.store.wipe();
        let wiped = Instant::now();
        let stranger = Cluster::connect(world.store.clone(), quick())
            .await
            .unwrap();
        while entries(&*world.store).await != before {
            // What is not there any more may be there soon: nobody who held entries is sure.
            let delivery = world.a.cluster.emit("at-b", "cached").await;
            assert_eq!(delivery, Delivery::Delivered);
            assert!(
                wiped.elapsed() <= quick().lease,
                "{:?}",
                entries(&*world.store).await
            );
            sleep(Duration::from_millis(5)).await;
        }
        while !stranger.emit("at-b", "found again").await.is_delivered() {
            sleep(Duration::from_millis(5)).await;
        }
        world.at_b.until("found again").await;
        assert_eq!((world.at_a.code(), world.at_b.code()), (None, None));
    });
}
